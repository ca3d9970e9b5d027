"""How long to wait before trying again: longer each time, and never all replicas at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

FIRST_SECONDS = 0.5
MOST_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Time, as everything that runs in the background is given it: tests put a clock of their own here.

    `clock` gives seconds that only grow, `chance` numbers from 0.0 to 1.0.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    def delay(self, attempt: int, retry_after: float = 0.0) -> float:
        """Seconds to wait after the failure number `attempt` (from 0) in a row, and at least `retry_after`."""
        longest = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt, 10))
        return float(max(retry_after, longest * (0.5 + self.chance() / 2)))


async def work_when_woken(woken: asyncio.Event, work: Callable[[], Awaitable[float]]) -> None:
    """Do `work` whenever it is woken, and after as many seconds as it says, until cancelled."""
    while True:
        woken.clear()
        seconds = await work()
        with contextlib.suppress(TimeoutError):
            # Not wait_for, which loses a cancellation that comes together with the event (Python 3.11).
            async with asyncio.timeout(seconds):
                await woken.wait()
