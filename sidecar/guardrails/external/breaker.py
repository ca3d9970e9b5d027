"""Leaves a detector alone that does not answer, so that not every message waits for it in vain.

Only what says that nobody is there counts: no connection, no answer in time, a server's own error. An answer that
cannot be used is an answer. Otherwise whoever finds a text that a detector refuses could have it switched off for
everybody else, where its failure mode is open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FAILURES: Final = 5
"""In a row, until nobody asks any more."""
SECONDS: Final = 10.0
"""Until one question tries whether it answers again."""


class Breaker:
    """Of one detector. `clock` in seconds. Who is let in says afterwards how it went, once."""

    __slots__ = ("_clock", "_failures", "_most", "_opened", "_probing", "_seconds")

    def __init__(
        self, clock: Callable[[], float], *, failures: int = FAILURES, seconds: float = SECONDS
    ) -> None:
        self._clock = clock
        self._most = failures
        self._seconds = seconds
        self._failures = 0
        self._opened: float | None = None
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether questions are turned away, but for one now and then."""
        return self._opened is not None

    def enter(self) -> bool:
        """Whether one may ask now."""
        if self._opened is None:
            return True
        if self._probing or self._clock() - self._opened < self._seconds:
            return False
        self._probing = True
        return True

    def answered(self) -> bool:
        """There is somebody. True where that was in doubt."""
        changed = self._opened is not None
        self._failures, self._opened, self._probing = 0, None, False
        return changed

    def silent(self) -> bool:
        """Nobody answered. True where nobody is asked from now on."""
        self._failures += 1
        if self._opened is not None or self._failures >= self._most:
            changed = self._opened is None
            self._opened, self._probing = self._clock(), False
            return changed
        return False

    def abandoned(self) -> None:
        """Who asked went away, and there is nothing to be learnt from it; the next may try."""
        self._probing = False


class Turn:
    """One question and what is learnt from it; the first that is said of it counts."""

    __slots__ = ("_breaker", "_entered")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._entered = False

    def enter(self) -> bool:
        """Whether it may be asked now."""
        self._entered = self._breaker.enter()
        return self._entered

    def answered(self) -> bool:
        """As `Breaker.answered`."""
        return self._leave() and self._breaker.answered()

    def silent(self) -> bool:
        """As `Breaker.silent`; nothing is learnt from a question that waited in vain to be asked."""
        return self._leave() and self._breaker.silent()

    def abandoned(self) -> None:
        """As `Breaker.abandoned`."""
        if self._leave():
            self._breaker.abandoned()

    def _leave(self) -> bool:
        entered, self._entered = self._entered, False
        return entered
