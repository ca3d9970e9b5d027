"""Which part of a sheet to read again: what is encoded, with enough around it to be understood.

Decoding a whole sheet for one encoded word would make every detector walk all of it once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sidecar.guardrails.hit import SEPARATOR

LEAF = 1024
"""A leaf up to this many characters is read as a whole."""
AROUND = 256
"""Characters on each side, where the leaf is longer."""
KEY = 64
"""The leaf before, if it is as short as this, is read as well: it may be the key."""

Span = tuple[int, int]


def stretches(text: str, spans: Iterable[Span]) -> Iterator[tuple[int, int, list[Span]]]:
    """Start and end of each stretch with the spans in it. `spans` are in order and do not overlap."""
    low = high = -1
    inside: list[Span] = []
    for span in spans:
        start, end = span
        if start < high and end <= high:
            inside.append(span)
            continue
        begin, finish = around(text, start, end)
        if inside and begin <= high:
            high = max(high, finish)
            inside.append(span)
            continue
        if inside:
            yield low, high, inside
        low, high, inside = max(begin, high, 0), finish, [span]
    if inside:
        yield low, high, inside


def around(text: str, start: int, end: int) -> Span:
    """The leaf (or leaves) from `start` to `end`, or a window of it where it is long, with the key before it."""
    begin = text.rfind(SEPARATOR, max(0, start - LEAF), start) + 1
    finish = text.find(SEPARATOR, end, end + LEAF)
    if begin == 0 and start > LEAF:
        return max(0, start - AROUND), _finish(text, end, finish)
    if begin > 1:
        key = text.rfind(SEPARATOR, max(0, begin - 1 - KEY), begin - 1) + 1
        if key or begin - 1 <= KEY:
            begin = key
    if start - begin > LEAF:
        begin = start - AROUND
    return begin, _finish(text, end, finish)


def _finish(text: str, end: int, finish: int) -> int:
    if finish >= 0:
        return finish
    return len(text) if len(text) - end <= LEAF else end + AROUND
