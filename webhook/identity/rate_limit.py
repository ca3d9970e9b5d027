"""How often each caller may ask: a bucket of tokens per caller, and a bound on how many are remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable


class RateLimit:
    """Each caller may ask `burst` times at once, and `per_minute` times in the long run.

    `clock` gives seconds that only grow. The callers that have not asked for longest are forgotten first, which
    is to their advantage.
    """

    __slots__ = ("_buckets", "_burst", "_clock", "_most_callers", "_per_second")

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        per_minute: float = 30.0,
        burst: int = 20,
        most_callers: int = 20_000,
    ) -> None:
        self._clock = clock
        self._per_second = per_minute / 60.0
        self._burst = float(burst)
        self._most_callers = most_callers
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str) -> float:
        """0.0 when `caller` may ask now, and then it has; otherwise the seconds until it may."""
        now = self._clock()
        left, since = self._buckets.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_second)
        allowed = left >= 1.0
        self._buckets[caller] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > self._most_callers:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._per_second
