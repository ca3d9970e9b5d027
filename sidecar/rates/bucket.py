"""A token bucket in whole numbers, so that the time it names is the first at which a request passes.

What is kept is the time until which tokens are spoken for (the generic cell rate algorithm): one number, and
nothing that has to be filled up while nobody asks. It is counted in nanoseconds times `requests`, of which a
token takes exactly `seconds`: nothing is ever rounded.
"""

from __future__ import annotations

from typing import Final

from mesh.policy.guardrails import Rate

NEVER: Final = -1
"""More are asked for at once than the bucket holds when it is full."""

NANOSECONDS: Final = 1_000_000_000
"""In a second."""


class Bucket:
    """At most `requests` in each `seconds` in the long run, and `burst` at once, or `requests` without one.

    In any span pass no more than that burst and what the rate gives in the span.
    """

    __slots__ = ("_before", "_most", "_requests", "_token", "_until")

    def __init__(self, rate: Rate) -> None:
        self._requests = rate.requests
        self._token = round(rate.seconds * NANOSECONDS)
        self._most = (rate.burst or rate.requests) * self._token
        self._before = self._until = 0

    def take(self, now: int, count: int = 1) -> int:
        """Take `count` at `now` (nanoseconds) and give 0; or take nothing, and give how long until they can be, in
        nanoseconds, or NEVER."""
        passed = now * self._requests
        most = self._most
        owed = self._until - passed
        if owed < 0:
            owed = 0
        elif owed > most:
            # The clock went back: the bucket is empty, and fills from there.
            owed = most
        owed += count * self._token
        if owed <= most:
            self._before = self._until
            self._until = passed + owed
            return 0
        return NEVER if count * self._token > most else -((most - owed) // self._requests)

    def put_back(self) -> None:
        """Undo the last `take`, if no time has passed since: later it would give more than the rate."""
        self._until = self._before
