"""A text as it reads after decoding, which still knows where each of its characters came from."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter
from typing import NamedTuple

from sidecar.guardrails.hit import SEPARATOR

GAP = SEPARATOR * 2
"""Between the pieces of one view. Two separators, so that no piece reads as the value of the piece before it."""

WHOLE = 0
BACKWARDS = -1
"""Special steps. Below BACKWARDS: each character was read from the first of as many."""


class Segment(NamedTuple):
    """The characters of a piece from `at` on, up to the next segment, come from `low` to `high` of the source.

    `step` source characters make one (1 where text was copied), each by itself; WHOLE: all were read from all;
    BACKWARDS: one from one, in reverse; less than that: each from the first of as many.
    """

    at: int
    low: int
    high: int
    step: int


class Piece:
    """Text in the making: parts that were copied from a source and parts that were decoded from it."""

    __slots__ = ("_length", "_parts", "segments", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.segments: list[Segment] = []
        self._parts: list[str] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def keep(self, low: int, high: int) -> None:
        """Copy `low` to `high` of the source."""
        if low < high:
            self.put(self.source[low:high], low, high, 1)

    def put(self, text: str, low: int, high: int, step: int = WHOLE) -> None:
        """Write `text` for `low` to `high` of the source. Separators are only ever copied, never decoded."""
        if not text:
            return
        if step != 1 and SEPARATOR in text:
            text = text.replace(SEPARATOR, " ")
        self.segments.append(Segment(self._length, low, high, step))
        self._parts.append(text)
        self._length += len(text)

    def text(self) -> str:
        return "".join(self._parts)


_at = itemgetter(0)


class View:
    """One reading of a sheet. `name` says how it was read: steps joined by `>`, the outermost encoding first."""

    __slots__ = ("_above", "_segments", "name", "text")

    def __init__(self, name: str, text: str, segments: list[Segment], above: View | None) -> None:
        self.name = name
        self.text = text
        self._segments = segments
        self._above = above

    def __repr__(self) -> str:
        return f"View({self.name!r}, {len(self.text)} characters)"

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The smallest span of the text given to `views` that the code points `start` to `end` were read from.

        An empty span has an empty origin. Raises IndexError where the span is not within the text.
        """
        if not 0 <= start <= end <= len(self.text):
            raise IndexError(
                f"{start} to {end} is not within the {len(self.text)} characters of the view {self.name}"
            )
        if start == end:
            low = self._place(start)
            return low, low
        view: View | None = self
        while view is not None and view._above is not None:
            start, end = view._step(start, end)
            view = view._above
            if start == end:  # nothing but a gap
                return (view._place(start),) * 2
        return start, end

    def _place(self, at: int) -> int:
        """Where an empty span is: before the character that follows, or after the last."""
        if self._above is None:
            return at
        if at < len(self.text):
            low, high = self._step(at, at + 1)
            return self._above.origin(low, high)[0]
        return self.origin(at - 1, at)[1] if at else 0

    def _step(self, start: int, end: int) -> tuple[int, int]:
        """The span in the text that this one was read from."""
        segments = self._segments
        first = bisect_right(segments, start, key=_at) - 1
        last = bisect_right(segments, end - 1, key=_at) - 1
        until = segments[first + 1].at if first < last else end
        low, high = _span(segments[first], start, until)
        if first < last:
            # Each segment comes after the one before, but where text was turned around.
            turned = self.name.endswith("reversed")
            for index in range(first + 1, last + 1) if turned else (last,):
                until = segments[index + 1].at if index < last else end
                other = _span(segments[index], segments[index].at, until)
                low, high = min(low, other[0]), max(high, other[1])
        return low, high


def _span(segment: Segment, start: int, end: int) -> tuple[int, int]:
    at, low, high, step = segment
    if step == WHOLE:
        return low, high
    if step == BACKWARDS:
        return high - (end - at), high - (start - at)
    if step < BACKWARDS:
        return low - (start - at) * step, low - (end - at - 1) * step + 1
    return low + (start - at) * step, low + (end - at) * step


def plain(text: str) -> View:
    """The text as it is."""
    return View("plain", text, [], None)


def assembled(name: str, pieces: list[Piece], above: View) -> View:
    """The pieces as one view, with a GAP between them; `name` is added to the name of the view above."""
    segments: list[Segment] = []
    parts: list[str] = []
    length = 0
    for piece in pieces:
        if parts:
            end = segments[-1].high
            segments.append(Segment(length, end, end, WHOLE))
            parts.append(GAP)
            length += len(GAP)
        segments.extend(Segment(length + at, low, high, step) for at, low, high, step in piece.segments)
        parts.append(piece.text())
        length += len(piece)
    full = name if above._above is None else f"{above.name}>{name}"
    return View(full, "".join(parts), segments, above)
