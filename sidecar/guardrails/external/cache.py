"""What detectors said of texts a moment ago, by a hash of all that they were asked.

Neither texts nor anything of them is kept: an entry is where something was found and what kind it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from sidecar.guardrails.external.question import Mark

MOST_ENTRIES: Final = 4096
MOST_MARKS: Final = 64
"""Of one answer; longer ones are asked for again."""
Marks = tuple[Mark, ...]


class Cache:
    """Bounded; the entry that was made first goes first. `clock` in seconds."""

    __slots__ = ("_clock", "_kept", "_most")

    def __init__(self, clock: Callable[[], float], most: int = MOST_ENTRIES) -> None:
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[bytes, tuple[float, Marks]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Marks | None:
        """What was said, if that still holds."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        until, marks = kept
        if until <= self._clock():
            del self._kept[key]
            return None
        return marks

    def put(self, key: bytes, marks: Marks, seconds: float) -> None:
        """Keep what was said for `seconds`."""
        if seconds <= 0 or len(marks) > MOST_MARKS:
            return
        self._kept.pop(key, None)
        self._kept[key] = (self._clock() + seconds, marks)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
