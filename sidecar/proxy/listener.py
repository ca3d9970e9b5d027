"""A listening socket and the connections accepted on it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any, Protocol

from sidecar.addresses import EVERY_ADDRESS, Address, spelled
from sidecar.proxy.dial import keep_alive
from sidecar.proxy.ticker import Ticker, Watched

BACKLOG = 1024

_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""What binding says where the kernel has no IPv6, or has it switched off."""


class Connection(Protocol):
    """What a listener knows of a connection that it accepted."""

    deadline: float
    transport: Any

    def expire(self) -> None: ...
    def drain(self) -> None: ...


class Listener:
    """Accepts connections, counts them, and ends them on drain.

    `make` gives the protocol of a new connection; it may raise to refuse one (no SVID yet). `crowded` is told
    of each connection that is refused because `limit` are open.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Listener], asyncio.Protocol],
        ticker: Ticker,
        limit: int,
        crowded: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.draining = False
        self._make = make
        self._ticker = ticker
        self._limit = limit
        self._crowded = crowded
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._emptied: asyncio.Event = asyncio.Event()
        self.shaking_hands = 0
        """Connections accepted whose peer is not known yet; they count against the limit too."""

    async def start(self, host: str, port: int) -> None:
        """Bind and listen; `*` is every address. Raises OSError when the address is taken."""
        if host == EVERY_ADDRESS:
            self._server = await self._everywhere(port)
        else:
            self._server = await self._bind(host, port)

    async def _bind(self, hosts: str | list[str], port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: self._make(self), hosts, port, backlog=BACKLOG)

    async def _everywhere(self, port: int) -> asyncio.Server:
        try:
            return await self._bind(["0.0.0.0", "::"], port)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
        return await self._bind("0.0.0.0", port)

    @property
    def address(self) -> str:
        """The bound `host:port`, once started."""
        return spelled(self.bound)

    @property
    def bound(self) -> Address:
        """The same as host and port."""
        assert self._server is not None  # noqa: S101 - asked only after start
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Those that are open now."""
        return tuple(self._connections)

    @property
    def count(self) -> int:
        return len(self._connections)

    @property
    def full(self) -> bool:
        return len(self._connections) + self.shaking_hands >= self._limit

    def opened(self, connection: Connection) -> None:
        if self.full or self.draining:
            if not self.draining:
                self._crowded()
            connection.transport.abort()
            return
        keep_alive(connection.transport.get_extra_info("socket"))
        self._connections.add(connection)
        self._ticker.add(connection)

    def watch(self, watched: Watched) -> None:
        """Look at a connection that no event would tell of, on each tick."""
        self._ticker.watch(watched)

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._ticker.discard(connection)
        if not self._connections:
            self._emptied.set()

    async def drain(self, seconds: float) -> bool:
        """Accept no more, let what is under way finish for at most `seconds`; False if some had to be cut."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.drain()
        if not self._connections:
            return True
        self._emptied.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._emptied.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.transport.abort()
            return False
        return True


def bind_error(error: OSError) -> str:
    """A sentence for an address that cannot be bound."""
    return f"cannot listen: {error.strerror or error}; is another process on that port?"
