"""Which guardrails a file is held against: those of all detectors, of some, or of policies."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from mesh.policy import load_texts
from mesh.policy.content import guardrails_of
from mesh.policy.documents import AgentPolicy, Mode
from mesh.policy.guardrails import (
    DEFAULT_ACTIONS,
    NO_OPTIONS,
    Action,
    DetectorKind,
    Guardrails,
    Part,
    Processor,
)
from mesh.policy.panel import Speaker
from mesh.policy.rules import Rule

PATIENCE: Final = 60.0
"""Seconds for one message: somebody who looks at a file can wait, where traffic cannot."""
MASKABLE: Final = frozenset({DetectorKind.PII, DetectorKind.SECRETS, DetectorKind.TERMS})


class NothingAsked(Exception):
    """Options leave no detector, or a policy says nothing of content; whoever typed them is at fault."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("file", metavar="FILE", help="a text, JSON, JSON lines or messages; - for stdin")
    parser.add_argument(
        "--detectors",
        type=_kinds,
        metavar="NAME,…",
        help=f"only these (default: all of {', '.join(DEFAULT_ACTIONS)})",
    )
    parser.add_argument(
        "--policy", metavar="FILE", help="as the guardrails sections of the policies in there say"
    )
    parser.add_argument(
        "--as",
        dest="part",
        type=Part,
        choices=(Part.RESULTS, Part.ARGUMENTS, Part.DESCRIPTIONS),
        default=Part.RESULTS,
        metavar="PART",
        help="what it is: results (default), arguments, or descriptions of tools; messages say so themselves",
    )


def guardrails(arguments: argparse.Namespace) -> Guardrails:
    """What the options ask for, without the hurry of traffic.

    Raises NothingAsked, and what reading policies raises: ManifestInvalid, PolicyInvalid.
    """
    if arguments.policy is None:
        kinds = DEFAULT_ACTIONS if arguments.detectors is None else arguments.detectors
        asked: Iterable[Processor] = (
            Processor(kind.value, kind, Action.FLAG, NO_OPTIONS[kind]) for kind in kinds
        )
        found = Guardrails(tuple(asked))
    else:
        found = _of_policies(arguments.policy)
    kept = tuple(
        replace(one, timeout=PATIENCE)
        for one in found.processors
        if arguments.detectors is None or one.detector in arguments.detectors
    )
    if not kept:
        raise NothingAsked("no detector is left: name others with --detectors, or leave it out")
    return replace(found, processors=kept, budget=PATIENCE)


def masking(found: Guardrails) -> Guardrails:
    """The same where everything that can be masked is."""
    return replace(
        found,
        processors=tuple(
            replace(one, action=Action.MASK) if one.detector in MASKABLE else one for one in found.processors
        ),
    )


def not_asked(found: Guardrails) -> list[str]:
    """Names of processors that ask somebody else, which a look at a file does not."""
    return [one.name for one in found.processors if one.detector is DetectorKind.EXTERNAL]


def _of_policies(path: str) -> Guardrails:
    """What all guardrails sections of a file make together."""
    from cli.policy.reading import read  # what it needs of clusters and webhooks is half a second

    documents = load_texts(read([path]).texts)
    speakers = [speaker for policy in documents.policies if (speaker := _speaker(policy)).rules]
    if not speakers:
        raise NothingAsked(f"{path}: no policy in there has a section guardrails; leave --policy out")
    return guardrails_of(speakers)


def _speaker(policy: AgentPolicy) -> Speaker:
    sections = [rule.guardrails for rule in policy.outbound]
    sections += [rule.guardrails for rule in policy.inbound or ()]
    rules = [Rule(policy.name, None, guardrails=section) for section in sections if section is not None]
    return Speaker(policy.name, policy.mode is Mode.ENFORCE, tuple(rules))


def _kinds(text: str) -> tuple[DetectorKind, ...]:
    known = [kind.value for kind in DetectorKind if kind is not DetectorKind.EXTERNAL]
    names = text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(
            f"no such detector: {', '.join(unknown)}; there are {', '.join(known)}"
        )
    return tuple(map(DetectorKind, dict.fromkeys(names)))
