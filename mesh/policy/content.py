"""What is done with the content of messages between an agent and a target: that of every rule about the two.

Guardrails add up: where one rule masks and another blocks, what both find is blocked. A detector that no rule
names works as by default, and is off only where a rule says so and no other asks for it. What annotations say
makes it stricter. A policy in mode observe has its findings written down, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from mesh.policy.guardrails import (
    ALL_PARTS,
    DEFAULT_ACTIONS,
    NO_OPTIONS,
    Action,
    DetectorKind,
    Direction,
    Guardrails,
    Processor,
    RateLimits,
)
from mesh.policy.panel import Speaker

Floor = tuple[tuple[DetectorKind, Action], ...]
"""What annotations ask for at least, by detector."""


def plain_processor(kind: DetectorKind, action: Action) -> Processor:
    """What a detector's name alone asks for: everything it knows, in every part, both ways."""
    return Processor(kind.value, kind, action, NO_OPTIONS[kind])


def guardrails_of(speakers: Iterable[Speaker], floor: Floor = ()) -> Guardrails:
    """Everything that looks at the messages of a principal and a target of whom these policies speak."""
    sections = list(_sections(speakers))
    processors = [one for section in sections for one in section.processors]
    named = {one.detector for one in processors}
    for kind, action in DEFAULT_ACTIONS.items():
        if kind not in named:
            processors.append(plain_processor(kind, action))
    for kind, action in floor:
        processors = _raised(processors, kind, action)
    kept = tuple(dict.fromkeys(one for one in processors if one.action is not Action.OFF))
    return Guardrails(
        kept,
        reversible=any(section.reversible for section in sections),
        budget=min((section.budget for section in sections), default=Guardrails().budget),
    )


def _sections(speakers: Iterable[Speaker]) -> Iterator[Guardrails]:
    for speaker in speakers:
        for rule in speaker.rules:
            if rule.guardrails is not None and not rule.withheld:
                yield rule.guardrails if speaker.enforce else rule.guardrails.observed()


def _raised(processors: Sequence[Processor], kind: DetectorKind, least: Action) -> list[Processor]:
    """Every processor of a kind at least this strict, and one of them for whatever passes."""
    raised = [
        replace(one, action=max(one.action, least), observe=False) if one.detector is kind else one
        for one in processors
    ]
    same = [one for one in raised if one.detector is kind]
    if not any(_covers_all(one) for one in same):
        options = same[0].options if same else NO_OPTIONS[kind]
        raised.append(replace(plain_processor(kind, least), options=options))
    return raised


def _covers_all(processor: Processor) -> bool:
    return processor.direction is Direction.BOTH and processor.parts == ALL_PARTS and "*" in processor.tools


def rates_of(speakers: Iterable[Speaker]) -> tuple[RateLimits, ...]:
    """The limits of every rule about the two: each holds."""
    return tuple(
        rule.rate
        for speaker in speakers
        if speaker.enforce
        for rule in speaker.rules
        if rule.rate is not None and not rule.withheld
    )
