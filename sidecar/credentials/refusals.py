"""Refusals that are remembered for a while, so that a server that says no is not asked for every request.

A no is believed for five seconds: somebody may just be putting it right. A server that does not answer, or answers
nonsense, is asked less and less often. What it says about when to come again (Retry-After) counts, within reason.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused

REFUSED_SECONDS = 5.0
FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0
RETRY_AFTER_SECONDS = 300.0
"""No server makes us wait longer."""

_PASSING = frozenset({Reason.CREDENTIAL_UNAVAILABLE, Reason.CREDENTIAL_ANSWER_INVALID})
"""What may be over at any time."""

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Refusal:
    refused: CredentialRefused
    ends: float
    """In seconds since 1970."""
    failures: int
    """So often one after the other, this one included."""


class Refusals(Generic[K]):
    """At most `limit` of them; the one that was longest not renewed gives way. `now`: seconds since 1970."""

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._known: OrderedDict[K, _Refusal] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: K) -> CredentialRefused | None:
        """The refusal that still counts, anew, with what is left of the time to wait."""
        known = self._known.get(key)
        if known is None:
            return None
        left = known.ends - self._now()
        if left <= 0:
            return None
        refused = known.refused
        return CredentialRefused(refused.reason, refused.detail, left)

    def remember(self, key: K, refused: CredentialRefused) -> None:
        """It was refused just now. One that is over is kept too, since it counts how often.

        That a file of our own is missing is not kept: looking again costs next to nothing.
        """
        known = self._known.pop(key, None)
        if refused.reason is Reason.CREDENTIAL_SECRET_MISSING:
            return
        failures = 1 if known is None else known.failures + 1
        if len(self._known) >= self._limit:
            self._known.popitem(last=False)
        self._known[key] = _Refusal(refused, self._now() + self.wait(refused, failures), failures)

    def wait(self, refused: CredentialRefused, failures: int) -> float:
        """For how many seconds asking again is of no use, after so many failures."""
        if refused.reason in _PASSING:
            own = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 10))
        else:
            own = REFUSED_SECONDS
        return max(own, min(refused.retry_after or 0.0, RETRY_AFTER_SECONDS))

    def forget(self, key: K) -> None:
        """It worked."""
        self._known.pop(key, None)

    def forget_where(self, gone: Callable[[K], bool]) -> None:
        """Let go of these keys."""
        for key in [key for key in self._known if gone(key)]:
            del self._known[key]
