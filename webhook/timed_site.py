"""A listener for aiohttp that gives a request's head only so long to arrive.

aiohttp itself limits how long a connection may be idle, which must be long where a client keeps its connections
for later: closing one that is about to be used costs a request. A client that has begun a head, or has connected
and says nothing, wants no such patience; without a limit, each such connection would be held for an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, cast

from aiohttp import web

HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
MOST_CONNECTIONS = 1024
LINGER_SECONDS = 0.5
"""How long the rest of a request that was refused is read, so that the caller gets to see the answer."""
KEEP_ALIVE_SECONDS = 120.0
"""How long a connection may be idle between requests: longer than clients in Go keep one, which is 90 s."""
CALLS_KEEP_ALIVE_SECONDS = 5.0
"""The same where each client calls now and then, and there are thousands of them: nobody comes back so soon."""


class _Timer(Protocol):
    def cancel(self) -> None: ...


class Places:
    """Room for `most` connections at once; `turned_away` is called for each one that is ended for want of it.

    Where there is none, a connection ends of whoever holds the most, so that a crowd from one place keeps out
    neither API servers nor the kubelet, which takes a server that does not answer its probe for dead. It is the
    oldest that waits for no answer, or the new one itself where all do.

    `each`: how many one address may have; 0: all. One beyond ends the oldest of the same address in its stead.

    Counted once the TLS handshake is over, because a connection that fails in it never says so.
    """

    __slots__ = ("_each", "_most", "_taken", "_turned_away")

    def __init__(self, most: int, turned_away: Callable[[], object] = lambda: None, each: int = 0) -> None:
        self._most = most
        self._each = each or most
        self._taken: dict[TimedProtocol, str] = {}
        self._turned_away = turned_away

    def take(self, connection: TimedProtocol, peer: str) -> bool:
        """Take a place for a connection from the address `peer`; False where there is none."""
        crowded = self._each < self._most and Counter(self._taken.values())[peer] >= self._each
        if crowded or len(self._taken) >= self._most:
            self._turned_away()
            victim = self._oldest(peer) if crowded else self._dispensable(peer)
            if victim is None:
                return False
            del self._taken[victim]
            victim.end()
        self._taken[connection] = peer
        return True

    def give_back(self, connection: TimedProtocol) -> None:
        """A connection is over, or needs no place any longer."""
        self._taken.pop(connection, None)

    def _oldest(self, newcomer: str) -> TimedProtocol | None:
        crowd = (one for one, peer in self._taken.items() if peer == newcomer and one.idle)
        return next(crowd, None)

    def _dispensable(self, newcomer: str) -> TimedProtocol | None:
        held = Counter([newcomer, *self._taken.values()])
        most = max(held.values())
        crowd = (one for one, peer in self._taken.items() if held[peer] == most and one.idle)
        return next(crowd, None)


class TimedProtocol(asyncio.Protocol):
    """Passes everything on to `inner`, and cuts off a connection whose next head takes more than `seconds`.

    Time runs from the connection, later from the first byte after an answer; no later byte gains more of it.
    """

    def __init__(
        self,
        inner: asyncio.Protocol,
        seconds: float,
        later: Callable[[float, Callable[[], object]], _Timer],
        places: Places | None = None,
    ) -> None:
        self._inner = inner
        self._seconds = seconds
        self._later = later
        self._places = places or Places(1)
        self._placed = False
        self._timer: _Timer | None = None
        self._answering = False
        self._transport: asyncio.Transport | None = None

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """A head has arrived; until the end of this nothing is awaited that time is limited for here."""
        self._stop_timer()
        self._answering = True
        try:
            yield
        finally:
            self._answering = False

    @property
    def idle(self) -> bool:
        """Is nobody waiting for an answer?"""
        return not self._answering

    def known(self) -> None:
        """Who is at the other end is proved, and counted elsewhere: the place is free for strangers."""
        self._places.give_back(self)

    def end(self) -> None:
        """Cut the connection off."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol, as for all below."""
        # Not isinstance: uvloop's transports of plain TCP are no subclass of it.
        transport = cast(asyncio.Transport, transport)
        self._placed = self._places.take(self, _peer(transport))
        if not self._placed:
            transport.abort()
            return
        self._transport = transport
        self._inner.connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        if not self._answering:
            self._start_timer()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._transport = None
        if not self._placed:
            return
        self._places.give_back(self)
        self._inner.connection_lost(exc)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self._later(self._seconds, self._late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        self.end()


def _peer(transport: asyncio.BaseTransport) -> str:
    """The address that a connection comes from; one that is gone already has none."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if name else ""


class TimedSite(web.BaseSite):
    """A TCP listener of `runner`, whose application needs `head_in_time` as its first middleware.

    `seconds`: for a head, and for the TLS handshake. `most`: connections at once; `turned_away` is called for each
    one beyond, which is closed; `each`: of one address, 0 for no bound.
    """

    __slots__ = ("_host", "_open", "_port", "_seconds")

    def __init__(
        self,
        runner: web.AppRunner,
        host: str | None,
        port: int,
        *,
        ssl_context: ssl.SSLContext | None = None,
        seconds: float = HEAD_SECONDS,
        most: int = MOST_CONNECTIONS,
        turned_away: Callable[[], object] = lambda: None,
        each: int = 0,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context)
        self._open = Places(most, turned_away, each)
        self._host = host
        self._port = port
        self._seconds = seconds

    @property
    def name(self) -> str:
        """Where it listens, as a URL."""
        return f"{'http' if self._ssl_context is None else 'https'}://{self._host or '*'}:{self._port}"

    async def start(self) -> None:
        """Listen; raises OSError."""
        await super().start()
        loop, make = asyncio.get_running_loop(), self._runner.server
        assert make is not None  # noqa: S101 - BaseSite has looked
        self._server = await loop.create_server(
            lambda: TimedProtocol(make(), self._seconds, loop.call_later, self._open),
            self._host,
            self._port,
            ssl=self._ssl_context,
            ssl_handshake_timeout=None if self._ssl_context is None else self._seconds,
            backlog=self._backlog,
        )


@web.middleware
async def head_in_time(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Tells the connection that a head has arrived."""
    protocol = _connection(request)
    if protocol is None:
        return await handler(request)
    with protocol.answering():
        return await handler(request)


def caller_known(request: web.Request) -> None:
    """Tells the connection that it is proved who has it; the caller bounds how many of those there are."""
    protocol = _connection(request)
    if protocol is not None:
        protocol.known()


def _connection(request: web.Request) -> TimedProtocol | None:
    protocol = None if request.transport is None else request.transport.get_protocol()
    return protocol if isinstance(protocol, TimedProtocol) else None
