"""Callers of the stream who have not been taken on yet: how many at once, in all and of one, and how often.

A handshake waits for a first line, and perhaps for a pod, so it costs its place for seconds. Whoever can prove to
be any pod at all must not hold the places that the others need.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mesh.identity.issuance import Refusal
from webhook.identity.callers import CallRefused
from webhook.identity.rate_limit import RateLimit

RETRY_SECONDS = 2
PER_MINUTE = 120.0
BURST = 60
"""A certificate's caller may be a node, behind which all pods of one account connect at once."""


class Handshakes:
    """Room for `most` at once, of which `each` may be one caller's. `clock` gives seconds that only grow."""

    __slots__ = ("_each", "_most", "_rate", "_under_way")

    def __init__(self, most: int, each: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._each = each
        self._rate = RateLimit(clock, per_minute=PER_MINUTE, burst=BURST)
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def room(self, caller: str) -> Iterator[None]:
        """For one more of `caller`; raises CallRefused where there is none."""
        wait = self._rate.wait(caller)
        if wait:
            raise CallRefused(Refusal.RATE_LIMITED, f"{caller} connects too often", math.ceil(wait))
        if self._under_way[caller] >= self._each:
            detail = f"{caller} has begun {self._each} streams and said no hello"
            raise CallRefused(Refusal.RATE_LIMITED, detail, RETRY_SECONDS)
        if self._under_way.total() >= self._most:
            detail = "this replica has as many sidecars as it takes"
            raise CallRefused(Refusal.UNAVAILABLE, detail, RETRY_SECONDS)
        self._under_way[caller] += 1
        try:
            yield
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]
