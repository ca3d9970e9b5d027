"""Saying once that the SVID in force has ended without a successor, when it happens and not when a peer finds out.

The metric tells how long ago that was; this is the line in the log that an operator looks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sidecar.identity.holder import IdentityHolder
from sidecar.identity.provider import Identity

# A timer of the event loop stands still while the machine sleeps and knows nothing of a clock that is set.
LONGEST_WAIT = 60.0


def _nothing() -> None:
    """What is left to unsubscribe once it is done."""


class ExpiryWatch:
    """Calls `ended` with the identity in force as soon as its SVID has expired; once for each identity."""

    def __init__(self, holder: IdentityHolder, ended: Callable[[Identity], None]) -> None:
        self._holder = holder
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None
        self._unsubscribe = holder.subscribe(lambda identity: self._look())
        self._look()

    def stop(self) -> None:
        """Watch no longer. Safe to call twice."""
        self._unsubscribe()
        self._unsubscribe = _nothing
        self._cancel()

    def _look(self) -> None:
        self._cancel()
        identity, now = self._holder.current, self._holder.clock()
        if identity is None:
            return
        if not self._holder.ready(now):
            self._ended(identity)
            return
        left = (identity.svid.not_after - now).total_seconds()
        self._timer = asyncio.get_running_loop().call_later(min(left, LONGEST_WAIT), self._look)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
