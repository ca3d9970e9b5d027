"""A document of somebody else's server that is kept, renewed in use, and used on while that server is silent.

However many wait for it, it is fetched once; after a failure not again for some seconds, which grow, so that a
server that is down is neither hammered nor waited for by every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sidecar.tasks import spawn

FIRST_PAUSE_SECONDS = 2.0
MOST_PAUSE_SECONDS = 30.0

V = TypeVar("V")


class Unavailable(Exception):
    """The document cannot be had now, and none from before may still be used; its server is at fault.

    `retry_after`: seconds for which asking again is of no use. `plain_text`: nobody was asked, because it would
    have been in plain text. `invalid`: there was an answer, and it is none.
    """

    def __init__(
        self,
        detail: str,
        retry_after: float = FIRST_PAUSE_SECONDS,
        *,
        plain_text: bool = False,
        invalid: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.plain_text = plain_text
        self.invalid = invalid


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """In seconds: how old a document may be before it is renewed, and how old it may be used at all."""

    fresh: float
    stale: float


class Refreshed(Generic[V]):
    """One document. `fetch` raises Unavailable; `now`: seconds since 1970; `changed` is told of each new value."""

    __slots__ = (
        "_attempted",
        "_changed",
        "_failures",
        "_fetch",
        "_fetched",
        "_flight",
        "_lifetimes",
        "_name",
        "_now",
        "_problem",
        "_value",
    )

    def __init__(
        self,
        fetch: Callable[[], Awaitable[V]],
        now: Callable[[], float],
        lifetimes: Lifetimes,
        *,
        name: str,
        changed: Callable[[V], None] = lambda value: None,
    ) -> None:
        self._fetch = fetch
        self._now = now
        self._lifetimes = lifetimes
        self._name = name
        self._changed = changed
        self._value: V | None = None
        self._fetched = float("-inf")
        self._attempted = float("-inf")
        self._failures = 0
        self._problem = Unavailable("")
        self._flight: asyncio.Task[None] | None = None

    async def get(self) -> V:
        """The document, at most `fresh` old while its server answers; raises Unavailable.

        Whoever asks when it is a little older gets it at once, and it is renewed meanwhile.
        """
        age = self._now() - self._fetched
        if self._value is not None and age < self._lifetimes.fresh:
            return self._value
        at_once = self._lifetimes.stale if self._failures else 2 * self._lifetimes.fresh
        if self._value is not None and age < at_once:
            self.refresh()
            return self._value
        await self._renewed()
        return self._usable()

    async def newer(self, apart: float) -> V:
        """The document, fetched anew unless that was tried within `apart` seconds; raises Unavailable.

        Unlike `get` it says so when the last attempt failed: what is looked for may be in what could not be had.
        """
        if self._flight is not None or self._now() - self._attempted >= apart:
            await self._renewed()
        if self._failures:
            raise self._unavailable()
        return self._usable()

    def refresh(self) -> None:
        """Renew it in the background if it is due; returns at once."""
        if self._now() - self._fetched >= self._lifetimes.fresh and self._may_ask():
            self._begin()

    def close(self) -> None:
        """Nobody needs it any more."""
        if self._flight is not None:
            self._flight.cancel()

    async def _renewed(self) -> None:
        """Wait for the end of an attempt, unless it is too early for another after a failure."""
        if self._may_ask():
            # Whoever waits may leave; the others wait on.
            await asyncio.wait([self._begin()])

    def _usable(self) -> V:
        if self._value is None or self._now() - self._fetched >= self._lifetimes.stale:
            raise self._unavailable()
        return self._value

    def _unavailable(self) -> Unavailable:
        problem, left = self._problem, max(1.0, self._attempted + self._pause() - self._now())
        return Unavailable(problem.detail, left, plain_text=problem.plain_text, invalid=problem.invalid)

    def _may_ask(self) -> bool:
        return self._flight is not None or self._now() - self._attempted >= self._pause()

    def _pause(self) -> float:
        """For how long nothing is asked after the last attempt: it doubles with each failure in a row."""
        if not self._failures:
            return 0.0
        return min(MOST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - 1, 10))

    def _begin(self) -> asyncio.Task[None]:
        if self._flight is None:
            self._flight = spawn(self._attempt(), name=f"fetch {self._name}")
        return self._flight

    async def _attempt(self) -> None:
        try:
            value = await self._fetch()
        except Unavailable as failed:
            self._failures += 1
            self._problem = failed.with_traceback(None)
        else:
            self._failures = 0
            self._fetched = self._now()
            self._value = value
            self._changed(value)
        finally:
            self._attempted = self._now()
            self._flight = None
