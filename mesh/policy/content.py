"""What is done with the content of messages between an agent and a target: that of every rule about the two.

Guardrails add up: where one rule masks and another blocks, what both find is blocked. A detector that no rule
names works as by default, and is off only where a rule says so and no other asks for it. What annotations say
makes it stricter. A policy in mode observe has its findings written down, and changes nothing. What is masked is
put back only where every rule that masks lets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from mesh.policy.decision import INBOUND, Target
from mesh.policy.documents import Backend
from mesh.policy.floors import rate_entry
from mesh.policy.globs import EntryList
from mesh.policy.guardrails import (
    ALL_PARTS,
    DEFAULT_ACTIONS,
    NO_OPTIONS,
    Action,
    DetectorKind,
    Direction,
    Guardrails,
    Options,
    Processor,
    Rate,
    RateLimits,
)
from mesh.policy.panel import Speaker
from mesh.settings.table import RATE_LIMIT

Floor = tuple[tuple[DetectorKind, Action], ...]
"""What annotations ask for at least, by detector."""

Rates = tuple[tuple[str, Rate], ...]
"""How often annotations let ask, by a glob `backend/tool`."""

_POLICYS_OWN: Final = (DetectorKind.SQL, DetectorKind.EXFILTRATION, DetectorKind.TERMS, DetectorKind.SHAPE)
"""Detectors that only policies can tell what is right: which statements, hosts, terms and limits there are."""


def plain_processor(kind: DetectorKind, action: Action) -> Processor:
    """What a detector's name alone asks for: everything it knows, in every part, both ways."""
    return Processor(kind.value, kind, action, NO_OPTIONS[kind])


def guardrails_of(speakers: Iterable[Speaker], floor: Floor = ()) -> Guardrails:
    """Everything that looks at the messages of a principal and a target of whom these policies speak."""
    speakers = tuple(speakers)
    sections = list(_sections(speakers))
    acting = list(_sections([one for one in speakers if one.enforce]))
    processors = [one for section in sections for one in section.processors]
    named = {one.detector for one in processors if not one.observe or _is_default(one)}
    for kind, action in DEFAULT_ACTIONS.items():
        if kind not in named:
            processors.append(plain_processor(kind, action))
    for kind, action in floor:
        processors = _raised(processors, kind, action)
    kept = tuple(dict.fromkeys(one for one in processors if one.action is not Action.OFF))
    return Guardrails(
        kept,
        reversible=_is_reversible(acting),
        budget=min((section.budget for section in acting), default=Guardrails().budget),
    )


def _is_reversible(acting: Sequence[Guardrails]) -> bool:
    """Whether masked values are put back: where every section that masks says so, for they share what they mask.

    Where only annotations mask, each section has to say so.
    """
    speaking = [one for one in acting if any(map(_masks, one.processors))] or acting
    return bool(speaking) and all(one.reversible for one in speaking)


def _masks(processor: Processor) -> bool:
    return processor.action is Action.MASK and not processor.observe


def _sections(speakers: Iterable[Speaker]) -> Iterator[Guardrails]:
    for speaker in speakers:
        for rule in speaker.rules:
            if rule.guardrails is not None and not rule.withheld:
                yield rule.guardrails if speaker.enforce else _watching(rule.guardrails)


def _watching(section: Guardrails) -> Guardrails:
    """What a policy in mode observe leaves of a section: nothing that changes how others work."""
    seen = section.observed()
    asked = tuple(one for one in seen.processors if one.action is not Action.OFF)
    return Guardrails(asked)


def _raised(processors: Sequence[Processor], kind: DetectorKind, least: Action) -> list[Processor]:
    """Every processor of a kind at least this strict, and one for what passes all of them.

    Those that only observe go on observing, so that an annotation turns nothing of theirs on but what it names.
    """
    raised = [
        replace(one, action=max(one.action, least)) if one.detector is kind and not one.observe else one
        for one in processors
    ]
    acting = [one for one in raised if one.detector is kind and not one.observe]
    covered = {one.options for one in acting if _covers_all(one)}
    raised += [
        replace(plain_processor(kind, least), options=options)
        for options in _floor_options(kind, acting)
        if options not in covered
    ]
    return raised


def _floor_options(kind: DetectorKind, acting: Sequence[Processor]) -> Iterable[Options]:
    """What the least action is about, everywhere: what policies know of a detector, else what it knows itself."""
    own = dict.fromkeys(one.options for one in acting)
    if kind not in _POLICYS_OWN:
        return (NO_OPTIONS[kind],)
    return own or ((NO_OPTIONS[kind],) if kind in DEFAULT_ACTIONS else ())


def _is_default(processor: Processor) -> bool:
    """Whether it finds whatever the detector would find where nothing is said."""
    return _covers_all(processor) and processor.options == NO_OPTIONS.get(processor.detector)


def _covers_all(processor: Processor) -> bool:
    return processor.direction is Direction.BOTH and processor.parts == ALL_PARTS and "*" in processor.tools


def rates_of(
    speakers: Iterable[Speaker], rates: Rates = (), target: Target = INBOUND
) -> tuple[RateLimits, ...]:
    """The limits of every rule about the two, and for a Backend what annotations say: each holds.

    Those of a policy in mode observe are only counted.
    """
    ruled = tuple(
        rule.rate if speaker.enforce else replace(rule.rate, observe=True)
        for speaker in speakers
        for rule in speaker.rules
        if rule.rate is not None and not rule.withheld
    )
    return ruled + tuple(_narrowed(rates, target.name)) if isinstance(target, Backend) else ruled


def _narrowed(rates: Rates, backend: str) -> Iterator[RateLimits]:
    """One for each entry about the Backend, since each has a count of its own."""
    for glob, rate in dict.fromkeys(rates):
        name, _, tool = glob.partition("/")
        if EntryList((name,)).find(backend) is None:
            continue
        label = f"annotation {RATE_LIMIT.name} {rate_entry(glob, rate)}"
        yield RateLimits(label, rate) if tool == "*" else RateLimits(label, tools=((tool, rate),))
