"""A long text in pieces that are looked at one by one, so that time can be checked in between.

Texts of a message are kept whole where they can be: cuts are made at separators, and a piece begins some texts
before its own, because a value is judged by its key. A text too long for that is cut within, with an overlap,
and each piece answers for what lies on its side of the middle of the overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sidecar.guardrails.hit import SEPARATOR

LENGTH: Final = 32768
"""Code points of one piece: the clock cannot stop who looks at it, so that a hostile one must not take long."""
CONTEXT: Final = 1024
"""Code points before a piece that are looked at with it, where it begins at a separator."""
OVERLAP: Final = 8192
"""Code points that two pieces of one text have in common. Nothing up to half as long is missed at a cut."""


class Slice(NamedTuple):
    """Code points `start` to `end` of a text; what is found counts if it begins before `until` and ends after
    `since`."""

    start: int
    end: int
    since: int
    until: int


def slices(
    text: str, length: int = LENGTH, context: int = CONTEXT, overlap: int = OVERLAP
) -> Iterator[Slice]:
    """The pieces of `text`, in order; one for a text up to `length`, which is to be greater than twice the
    others."""
    start = since = 0
    whole = len(text)
    while whole - start > length:
        end = start + length
        cut = text.rfind(SEPARATOR, start + length // 2, end)
        if cut >= 0:
            yield Slice(start, cut, since, cut)
            since = cut
            begin = text.find(SEPARATOR, cut - context, cut)
            start = (cut if begin < 0 else begin) + 1
        else:
            since, before = end - overlap // 2, since
            yield Slice(start, end, before, since)
            start = _aligned(text, start, end - overlap)
    yield Slice(start, whole, since, whole)


def _aligned(text: str, low: int, at: int) -> int:
    """`at`, or up to three before, so that base64 from where its text begins is cut between its groups of four.

    What begins before `low` was cut like this itself.
    """
    begin = text.rfind(SEPARATOR, low, at) + 1 or low
    return at - (at - begin) % 4
