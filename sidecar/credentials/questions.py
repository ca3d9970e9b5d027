"""How many questions to issuers one caller causes, so that who makes up tokens does not shut the door for others.

What is known of a token costs nothing; only what an issuer has to be asked about counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from mesh.reasons import Reason
from sidecar.credentials.verified import TokenRefused

PER_SECOND = 20.0
BURST = 100
MOST_CALLERS = 4096


class _Left(NamedTuple):
    questions: float
    at: float
    """In seconds since 1970."""


class Questions:
    """A bucket for each caller, of `burst` questions, to which `per_second` are added. `now`: seconds since 1970.

    Of `MOST_CALLERS` that asked something; who has asked nothing for the longest time is forgotten.
    """

    __slots__ = ("_burst", "_left", "_now", "_per_second")

    def __init__(
        self, now: Callable[[], float], *, per_second: float = PER_SECOND, burst: float = BURST
    ) -> None:
        self._now = now
        self._per_second = per_second
        self._burst = burst
        self._left: OrderedDict[str, _Left] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, caller: str) -> None:
        """One more; raises TokenRefused, TOO_MANY_UNKNOWN_TOKENS."""
        now = self._now()
        left = self._left.pop(caller, None)
        if left is None:
            questions = self._burst
            if len(self._left) >= MOST_CALLERS:
                self._left.popitem(last=False)
        else:
            # A clock that is set back gives nothing.
            questions = min(self._burst, left.questions + self._per_second * max(0.0, now - left.at))
        enough = questions >= 1
        self._left[caller] = _Left(questions - 1 if enough else questions, now)
        if not enough:
            raise too_many("too many unknown tokens from this caller")


def too_many(detail: str) -> TokenRefused:
    """A caller has to wait."""
    return TokenRefused(Reason.TOO_MANY_UNKNOWN_TOKENS, detail)
