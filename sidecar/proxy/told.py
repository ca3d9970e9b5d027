"""What is told of findings: their kinds and places, never what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from mesh.policy.guardrails import Processor
from sidecar.guardrails.verdict import Finding, Leaf

MOST_PLACES = 8
"""Named in one line; the count says how many there are."""
MOST_NAME = 64
_NAME = re.compile(rf"[\w$./-]{{1,{MOST_NAME}}}", re.ASCII)


class Told(NamedTuple):
    """One line about findings of one kind that have one thing done to them."""

    detector: str
    kind: str
    action: str
    observed: bool
    times: int
    where: str


def told(findings: Sequence[Finding]) -> list[Told]:
    """The lines about what was found in one message."""
    groups: dict[tuple[Processor, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.processor, one.kind), []).append(one)
    found = frozenset(one.leaf.text for one in findings)
    return [
        Told(
            processor.name,
            kind,
            processor.action.name.lower(),
            processor.observe,
            len(same),
            ", ".join(dict.fromkeys(_where(one.leaf, found) for one in same[:MOST_PLACES])),
        )
        for (processor, kind), same in groups.items()
    ]


def _where(leaf: Leaf, found: frozenset[str]) -> str:
    """Where it stands. Keys are the sender's words too: one in which something was found is not told, nor one that
    is no name."""
    steps = (*leaf.path, leaf.key)
    named = [
        str(step) if type(step) is int or (step not in found and _NAME.fullmatch(str(step))) else "*"
        for step in steps
    ]
    return ".".join(named)[:128]
