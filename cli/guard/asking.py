"""Which guardrails a file is held against: those of all detectors, of some, or of policies."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from cli.guard.policy_file import read_policy
from mesh.policy.guardrails import (
    DEFAULT_ACTIONS,
    NO_OPTIONS,
    Action,
    DetectorKind,
    Guardrails,
    Part,
    Processor,
)

PATIENCE: Final = 60.0
"""Seconds for one message: somebody who looks at a file can wait, where traffic cannot."""
MASKABLE: Final = frozenset({DetectorKind.PII, DetectorKind.SECRETS, DetectorKind.TERMS})
_PARTS: Final = (Part.RESULTS, Part.ARGUMENTS, Part.DESCRIPTIONS)


class NothingAsked(Exception):
    """Options leave no detector; whoever typed them is at fault."""


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
        "--policy", metavar="FILE", help="as policies in there say, or a section guardrails by itself"
    )
    parser.add_argument(
        "--as",
        dest="part",
        type=_part,
        choices=_PARTS,
        default=Part.RESULTS,
        metavar="PART",
        help="what it is: results (default), arguments, or descriptions of tools; messages say so themselves",
    )


def guardrails(arguments: argparse.Namespace) -> Guardrails:
    """What the options ask for, without the hurry of traffic.

    Raises NothingAsked, and what `read_policy` raises.
    """
    if arguments.policy is None:
        kinds = DEFAULT_ACTIONS if arguments.detectors is None else arguments.detectors
        asked: Iterable[Processor] = (
            Processor(kind.value, kind, Action.FLAG, NO_OPTIONS[kind]) for kind in kinds
        )
        found = Guardrails(tuple(asked))
    else:
        found = read_policy(arguments.policy)
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


def _part(text: str) -> Part:
    if text not in _PARTS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(_PARTS)}")
    return Part(text)


def _kinds(text: str) -> tuple[DetectorKind, ...]:
    known = [kind.value for kind in DetectorKind if kind is not DetectorKind.EXTERNAL]
    names = text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(
            f"no such detector: {', '.join(unknown)}; there are {', '.join(known)}"
        )
    return tuple(map(DetectorKind, dict.fromkeys(names)))
