"""Room for the reviews that are under way, by who sent them.

Anybody who reaches the port may send a review, and a body may take seconds to arrive. So what counts is what has
arrived, not what was announced; and where there is no more room, a review ends of whoever takes up the most, first
one whose body is still on its way. API servers send theirs at once, so that a crowd of slow ones from anywhere
keeps none of them out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator

REQUESTS, BYTES = "requests", "bytes"


class NoRoom(Exception):
    """A review has to go for want of room; whoever sends so much is at fault, or the limits are."""


class Guest:
    """A review under way: `size` bytes of it have arrived so far; all of them, once `whole`."""

    __slots__ = ("_limit", "ended", "peer", "size", "whole")

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.size = 0
        self.whole = False
        self.ended = False
        self._limit: asyncio.Timeout | None = None

    @contextlib.asynccontextmanager
    async def within(self, seconds: float | None) -> AsyncIterator[None]:
        """What may be awaited for so long. Raises TimeoutError after that, NoRoom where another needs the room."""
        try:
            async with asyncio.timeout(seconds) as self._limit:
                yield
        except TimeoutError as late:
            if self.ended:
                raise NoRoom from late
            raise
        finally:
            self._limit = None

    def end(self) -> None:
        """Have `within` raise NoRoom."""
        self.ended = True
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time())


class Room:
    """Room for so many reviews, and so many bytes of them; `full` is told of which there were too many."""

    def __init__(self, requests: int, size: int, full: Callable[[str], object] = lambda _what: None) -> None:
        self.requests = requests
        self.size = size
        self._full = full
        self._guests: dict[Guest, None] = {}

    def __len__(self) -> int:
        return len(self._guests)

    @property
    def taken(self) -> int:
        """Bytes that have arrived."""
        return sum(guest.size for guest in self._guests)

    @contextlib.contextmanager
    def place(self, peer: str) -> Iterator[Guest]:
        """Room for one more review of `peer`; raises NoRoom."""
        guest = Guest(peer)
        if len(self._guests) >= self.requests:
            self._full(REQUESTS)
            self._make_way(peer)
        self._guests[guest] = None
        try:
            yield guest
        finally:
            self._guests.pop(guest, None)

    def grow(self, guest: Guest, size: int) -> None:
        """So many more bytes of `guest` have arrived. Raises NoRoom where it is the one that has to go."""
        if guest.ended:
            raise NoRoom
        guest.size += size
        while self.taken > self.size:
            self._full(BYTES)
            held: Counter[str] = Counter()
            for one in self._guests:
                held[one.peer] += one.size
            crowd = self._crowd(held)
            # The largest, so that who shares an address with a crowd is not taken for it.
            victim = max(crowd, key=lambda one: (not one.whole, one.size))
            self._end(victim)
            if victim is guest:
                raise NoRoom

    def _make_way(self, newcomer: str) -> None:
        """End one review, or raise NoRoom: nobody's that has arrived for another of the same sender."""
        held = Counter([newcomer, *(guest.peer for guest in self._guests)])
        crowd = self._crowd(held)
        slow = [guest for guest in crowd if not guest.whole]
        if not crowd or (not slow and held[newcomer] == max(held.values())):
            raise NoRoom
        self._end((slow or crowd)[0])

    def _crowd(self, held: Counter[str]) -> list[Guest]:
        """The reviews of who has the most of what is counted, oldest first."""
        most = max(held.values())
        return [guest for guest in self._guests if held[guest.peer] == most]

    def _end(self, guest: Guest) -> None:
        del self._guests[guest]
        guest.end()
