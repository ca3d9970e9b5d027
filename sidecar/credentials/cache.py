"""What was issued, kept in memory until shortly before it expires, and asked for by one at a time.

However many requests want a credential that is not there, it is asked for once, and all of them get the same
answer: a server that comes back must not be met by a crowd. What is used is renewed before it expires, in the
background, and a renewal that fails hurts nobody while the old one is valid.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.refusals import Refusals
from sidecar.tasks import spawn

Mint = Callable[[], Awaitable[Issued]]

MARGIN_SECONDS = 5.0
"""A credential is not given out so shortly before its end: it has to reach the server and be looked at there."""

SHORTEST = 4
"""One that lives but for seconds has a margin of this part of its life instead."""

EARLY = 0.75
JITTER = 0.1
"""Renewal begins at this part of the life, less up to so much of it by chance."""

AGAIN_SECONDS = 60.0
"""A renewal that ends neither well nor in a refusal is begun again after this."""

SWEEP_SECONDS = 60.0

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Entry:
    issued: Issued
    early: float
    """When something has to be done: renewal begins, or the entry ends."""
    ends: float
    """Both in seconds since 1970."""
    mint: Mint = field(repr=False)
    until: float
    failures: int = 0
    """Renewals that failed, one after the other."""


@dataclass(slots=True, eq=False)
class _Flight:
    """Asking for one credential. `waiting`: requests that want its outcome; `background`: it goes on without."""

    background: bool
    waiting: int = 0
    task: asyncio.Task[Issued | CredentialRefused] | None = None


class TokenCache(Generic[K]):
    """Keeps at most `limit` credentials and as many refusals; the least recently used gives way.

    `now`: seconds since 1970. `draw`: from 0 up to 1, of no secrecy. `counted`: told of each miss, refresh and
    negative (a refusal that was remembered).
    """

    def __init__(
        self,
        *,
        limit: int = 4096,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
        counted: Callable[[K, str], None] = lambda key, outcome: None,
    ) -> None:
        self._limit = limit
        self._now = now
        self._draw = draw
        self._counted = counted
        self._timer: asyncio.TimerHandle | None = None
        self._entries: OrderedDict[K, _Entry] = OrderedDict()
        self._flights: dict[K, _Flight] = {}
        self._refusals: Refusals[K] = Refusals(limit, now)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def refusals(self) -> int:
        """How many refusals are remembered."""
        return len(self._refusals)

    def ready(self, key: K) -> Issued | None:
        """What is there and valid for a while; begins its renewal where that is due, in a running loop."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._now() >= entry.early and not self._still_good(key, entry):
            return None
        self._entries.move_to_end(key)
        return entry.issued

    def _still_good(self, key: K, entry: _Entry) -> bool:
        now = self._now()
        if now >= entry.ends:
            del self._entries[key]
            return False
        entry.early = min(entry.ends, now + AGAIN_SECONDS)
        if key not in self._flights:
            self._counted(key, "refresh")
            self._begin(key, entry.mint, entry.until, background=True)
        return True

    async def obtain(self, key: K, mint: Mint, *, until: float = float("inf")) -> Issued:
        """What is there, else what `mint` gives; raises CredentialRefused, which all who wait get alike.

        `until`: nothing is kept beyond, in seconds since 1970. Who is cancelled takes nothing from the others,
        and when all are, so is the asking.
        """
        issued = self.ready(key)
        if issued is not None:
            return issued
        flight = self._flights.get(key)
        if flight is None:
            refused = self._refusals.find(key)
            if refused is not None:
                self._counted(key, "negative")
                raise refused
            self._counted(key, "miss")
            flight = self._begin(key, mint, until, background=False)
        return await self._outcome(key, flight)

    async def _outcome(self, key: K, flight: _Flight) -> Issued:
        assert flight.task is not None  # noqa: S101 - set before anybody can see the flight
        flight.waiting += 1
        try:
            outcome = await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.background and not flight.task.done():
                self._leave(key, flight)
                flight.task.cancel()
        if isinstance(outcome, CredentialRefused):
            # One of its own for each: what is raised gathers the frames that it passes.
            raise CredentialRefused(outcome.reason, outcome.detail, outcome.retry_after)
        return outcome

    def _begin(self, key: K, mint: Mint, until: float, *, background: bool) -> _Flight:
        flight = self._flights[key] = _Flight(background)
        flight.task = spawn(self._fly(key, flight, mint, until), name="credential")
        return flight

    async def _fly(self, key: K, flight: _Flight, mint: Mint, until: float) -> Issued | CredentialRefused:
        try:
            issued = await mint()
            return self._keep(key, flight, issued, mint, until)
        except CredentialRefused as refused:
            return self._failed(key, refused) if self._flights.get(key) is flight else refused
        finally:
            self._leave(key, flight)

    def _leave(self, key: K, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _keep(self, key: K, flight: _Flight, issued: Issued, mint: Mint, until: float) -> Issued:
        now = self._now()
        life = issued.expires - now
        if life <= 0:
            raise CredentialRefused(
                Reason.CREDENTIAL_ANSWER_INVALID,
                f"what was issued expired {-life:.0f} seconds ago; compare the clocks",
            )
        if until <= now:
            raise CredentialRefused(Reason.TOKEN_EXPIRED, "the user's token expired meanwhile")
        if self._flights.get(key) is not flight:
            return issued
        ends = min(issued.expires, until) - min(MARGIN_SECONDS, life / SHORTEST)
        # A new one would not outlive the user's token either.
        early = now + life * (EARLY - JITTER * self._draw()) if issued.expires <= until else ends
        self._refusals.forget(key)
        self._entries.pop(key, None)
        if ends > now:
            while len(self._entries) >= self._limit:
                self._entries.popitem(last=False)
            self._entries[key] = _Entry(issued, min(early, ends), ends, mint, until)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self.sweep)
        return issued

    def sweep(self) -> None:
        """Let go of what has expired, and again in a while: nobody may ask for it any more, and it is secret."""
        now = self._now()
        for key in [key for key, entry in self._entries.items() if entry.ends <= now]:
            del self._entries[key]
        self._timer = None
        if self._entries:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self.sweep)

    def _failed(self, key: K, refused: CredentialRefused) -> CredentialRefused:
        """Remember it; returns it with the time to wait, as those who come later are told."""
        entry = self._entries.get(key)
        if entry is None or entry.ends <= self._now():
            self._refusals.remember(key, refused)
            return self._refusals.find(key) or refused
        entry.failures += 1
        entry.early = min(entry.ends, self._now() + self._refusals.wait(refused, entry.failures))
        return refused

    def forget(self, key: K, issued: Issued) -> bool:
        """Let go of this one; False when another has taken its place, or none."""
        entry = self._entries.get(key)
        if entry is None or entry.issued is not issued:
            return False
        del self._entries[key]
        return True

    def forget_where(self, gone: Callable[[K], bool]) -> None:
        """Let go of these keys: what is asked for just now is given to those who wait, and not kept."""
        for keyed in (self._entries, self._flights):
            for key in [key for key in keyed if gone(key)]:
                del keyed[key]
        self._refusals.forget_where(gone)
