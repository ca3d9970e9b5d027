"""Coarse deadlines for many connections with one timer.

A timer per request would cost more than the request's policy decision. Instead each connection keeps the time
at which it is too late, and one tick looks at all of them, at most a second late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Timed(Protocol):
    """Something with a deadline."""

    deadline: float
    """Loop time after which `expire` is called; infinity means never."""

    def expire(self) -> None: ...


class Watched(Protocol):
    """Something to be looked at on every tick, because no event would tell of it."""

    def look(self, now: float) -> bool:
        """Look, and act; False once there is nothing left to look for."""


NEVER = float("inf")


class Ticker:
    """Calls `expire` on every member whose deadline has passed, and `look` on those that are watched."""

    def __init__(self, period: float, clock: Callable[[], float]) -> None:
        self._period = period
        self._clock = clock
        self._members: set[Timed] = set()
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: Timed) -> None:
        self._members.add(member)

    def discard(self, member: Timed) -> None:
        self._members.discard(member)

    def watch(self, watched: Watched) -> None:
        """Look at it on each tick from now on, until it says that there is nothing to look for."""
        self._watched.add(watched)

    def start(self) -> None:
        """Tick until `stop`."""
        self._timer = asyncio.get_running_loop().call_later(self._period, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        # First, so that a member that fails does not end the limits of all others.
        self.start()
        self.expire_due()

    def expire_due(self) -> None:
        """One look at all members; separate from the timer so that tests need no waiting."""
        now = self._clock()
        for member in [m for m in self._members if m.deadline <= now]:
            member.expire()
        for watched in list(self._watched):
            if not watched.look(now):
                self._watched.discard(watched)
