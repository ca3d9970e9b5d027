"""The texts of a message that a detector is given, and the way from what it says back to where they stand.

Given are all values and those keys that are no mere names; the protocol's own words are not. A text that stands in
several places is given once. Images and the like are nothing to judge a text by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from mesh.policy.guardrails import Direction, Part, Processor
from mesh.protocol.mcp.places import Root
from sidecar.guardrails.blobs import is_binary
from sidecar.guardrails.external.question import Mark, Question
from sidecar.guardrails.leaves import Sheet
from sidecar.guardrails.verdict import Finding, Leaf

_NAME: Final = re.compile(r"[A-Za-z0-9_.$-]{1,32}", re.ASCII)
"""A key that says nothing by itself."""


class Texts:
    """What one processor looks at in one message."""

    __slots__ = ("_places", "question")

    def __init__(
        self,
        roots: Iterable[Root],
        parts: frozenset[Part],
        direction: Direction,
        documents: Sequence[str] = (),
    ) -> None:
        places: dict[str, list[Leaf]] = {}
        for root in roots:
            if root.part is Part.PROTOCOL or root.part not in parts:
                continue
            for leaf in _leaves(root):
                if _says_something(leaf, root.binary):
                    places.setdefault(leaf.text, []).append(leaf)
        self._places = list(places.values())
        self.question = Question(tuple(places), direction, _grounds(places, direction, documents))

    def findings(self, processor: Processor, marks: Iterable[Mark]) -> list[Finding]:
        """Where in the message it was found. What was said of all of it is told of its longest text, which cannot
        be masked then: nobody knows what should be."""
        found = []
        for mark in marks:
            if mark.text is None:
                leaf = self._longest()._replace(maskable=False)
                found.append(_finding(processor, mark, leaf, 0, len(leaf.text)))
            else:
                for leaf in self._places[mark.text]:
                    found.append(_finding(processor, mark, leaf, mark.start, mark.end))
        return found

    def _longest(self) -> Leaf:
        return max((leaves[0] for leaves in self._places), key=lambda one: len(one.text))


def _leaves(root: Root) -> list[Leaf]:
    sheet = Sheet((root,))
    found = sheet.leaves(range(len(sheet)))
    return [found[index] for index in sorted(found)]


def _says_something(leaf: Leaf, binary: bool) -> bool:
    text = leaf.text
    if not text or text.isspace():
        return False
    if leaf.form == "key":
        return _NAME.fullmatch(text) is None
    return not (binary and is_binary(text))


def _grounds(places: Iterable[str], direction: Direction, documents: Sequence[str]) -> tuple[str, ...]:
    """What the texts may be based on: an answer's own texts are no ground for it."""
    if direction is not Direction.RESPONSE:
        return tuple(documents)
    own = "\n".join(places)
    lines = frozenset(own.split("\n"))
    return tuple(one for one in documents if not _stands_in(one, own, lines))


def _stands_in(document: str, own: str, lines: frozenset[str]) -> bool:
    """Whether every line of it is an own one; the last may have been cut."""
    *whole, last = document.split("\n")
    return last in own and lines.issuperset(whole)


def _finding(processor: Processor, mark: Mark, leaf: Leaf, start: int, end: int) -> Finding:
    return Finding(processor, mark.kind, leaf, start, end, mark.score, "plain", mark.note)
