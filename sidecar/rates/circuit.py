"""Whether the store is asked: after some failures in a row it is left alone until it answers again.

Requests are no probes: who waits for a store that is gone waits in vain.
"""

from __future__ import annotations

from typing import Final

FAILURES: Final = 3
"""In a row, until nobody asks any more."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 15.0
"""Seconds between two attempts to reach a store that does not answer; each pause is twice the one before."""


class Circuit:
    """Closed while the store answers. It starts open: nobody has reached it yet."""

    __slots__ = ("_failures", "closed", "pause")

    def __init__(self) -> None:
        self.closed = False
        self.pause = FIRST_PAUSE
        self._failures = 0

    def answered(self) -> None:
        """The store did."""
        self.closed = True
        self.pause = FIRST_PAUSE
        self._failures = 0

    def failed(self) -> bool:
        """It did not, or too late. Whether this opened the circuit."""
        self._failures += 1
        if not self.closed or self._failures < FAILURES:
            return False
        self.closed = False
        return True

    def missed(self) -> float:
        """An attempt to reach it again failed; seconds until the next."""
        pause, self.pause = self.pause, min(self.pause * 2, LONGEST_PAUSE)
        return pause
