"""How long to wait before trying again: exponential, capped, with jitter so that a crowd spreads out."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Gives the next delay in seconds. Each is drawn between half of the step and the whole of it.

    `draw` returns a number from 0 up to 1; what it gives is not a secret.
    """

    def __init__(
        self,
        first: float = 0.2,
        longest: float = 30.0,
        factor: float = 2.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._first = self._step = first
        self._longest = longest
        self._factor = factor
        self._draw = draw

    def next(self) -> float:
        """The delay before the next attempt; each call without `reset` between them gives a longer one."""
        step = self._step
        self._step = min(step * self._factor, self._longest)
        return step * (0.5 + self._draw() / 2)

    def reset(self) -> None:
        """It worked: begin again with the shortest delay."""
        self._step = self._first
