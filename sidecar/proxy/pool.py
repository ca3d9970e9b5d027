"""Connections to backends, kept between requests.

One stack per destination, the most recently used on top, so that a quiet destination keeps few connections.
An idle connection is dropped before common servers would close it themselves: reusing one that the server is
closing would lose a tools/call that must not be sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from mesh.policy.boundary import Reach
from mesh.protocol.http1.limits import HttpLimits
from mesh.reasons import Reason
from sidecar.limits import Limits
from sidecar.proxy.ticker import NEVER, Ticker
from sidecar.proxy.upstream import Upstream
from sidecar.tasks import spawn


class TlsMode:
    """How a destination is reached. Plain strings, because they are part of a hashed key."""

    NONE = "None"
    MESH = "Mesh"
    PUBLIC = "Public"


class Destination(NamedTuple):
    """Where connections go and what they must prove: the key of the pool."""

    host: str
    port: int
    tls: str = TlsMode.NONE
    server_name: str = ""
    """Name in the certificate of a Public destination."""
    identity: str = ""
    """SPIFFE ID that a Mesh destination must prove; empty: any of the mesh."""
    reach: str = Reach.ANYWHERE
    """Which addresses it may turn out to have."""
    source: str = ""
    """The own address to dial from; empty: the kernel's choice."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class ConnectFailed(Exception):
    """The backend could not be reached, or is not who it should be: the backend's side, or the network."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Waiter(Protocol):
    """Who asked for a connection."""

    def upstream_ready(self, upstream: Upstream) -> None: ...
    def upstream_failed(self, reason: Reason, detail: str) -> None: ...


class Dialer(Protocol):
    """Makes connections; raises ConnectFailed."""

    async def dial(self, destination: Destination, protocol: asyncio.Protocol) -> None: ...


class Pool:
    """All connections to all backends."""

    def __init__(self, dialer: Dialer, limits: Limits, ticker: Ticker, clock: Callable[[], float]) -> None:
        self._dialer = dialer
        self._limits = limits
        self._http = HttpLimits(
            head_bytes=limits.head_bytes, headers=limits.headers, body_bytes=0
        )  # the body is bounded by who buffers it
        self.ticker = ticker
        self.clock = clock
        self._idle: dict[Destination, list[tuple[Upstream, float]]] = {}
        self._home: dict[Upstream, Destination] = {}
        self._open: dict[Destination, int] = {}
        self._generation = 0

    def acquire(self, destination: Destination, waiter: Waiter) -> asyncio.Task[None] | None:
        """Hand `waiter` a connection now, or start connecting and return that task.

        The task tells the waiter; cancelling it is how a client that went away stops the attempt.
        """
        upstream = self._take_idle(destination)
        if upstream is not None:
            waiter.upstream_ready(upstream)
            return None
        if self._open.get(destination, 0) >= self._limits.upstream_connections:
            waiter.upstream_failed(
                Reason.TOO_MANY_CONNECTIONS,
                f"{self._limits.upstream_connections} connections to {destination} are open",
            )
            return None
        upstream = Upstream(self._http, self, self.clock, self._limits.upstream_idle_seconds)
        upstream.generation = self._generation
        self._open[destination] = self._open.get(destination, 0) + 1
        self._home[upstream] = destination
        task = spawn(self._connect(destination, upstream, waiter), name=f"connect {destination}")
        # A task that is cancelled before its first turn never runs, so the place is given back from outside.
        task.add_done_callback(lambda done: self._settle(done, upstream, waiter))
        return task

    def _settle(self, task: asyncio.Task[None], upstream: Upstream, waiter: Waiter) -> None:
        """Give the place back after an attempt that was cancelled or failed in a way nobody foresaw."""
        if task.cancelled():
            self._discard(upstream)
        elif task.exception() is not None:
            self._discard(upstream)
            waiter.upstream_failed(Reason.UPSTREAM_UNREACHABLE, "the attempt failed, see the log")

    def _take_idle(self, destination: Destination) -> Upstream | None:
        idle = self._idle.get(destination)
        if not idle:
            return None
        now = self.clock()
        oldest = now - self._limits.upstream_keep_alive_seconds
        while idle:
            upstream, since = idle.pop()
            if upstream.usable and since > oldest and self._current(upstream, now):
                upstream.reused = True
                return upstream
            upstream.retire()
        return None

    def _current(self, upstream: Upstream, now: float) -> bool:
        return upstream.generation == self._generation and now < upstream.expires

    async def _connect(self, destination: Destination, upstream: Upstream, waiter: Waiter) -> None:
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                await self._dialer.dial(destination, upstream)
        except ConnectFailed as failed:
            self.lost(upstream)
            waiter.upstream_failed(failed.reason, failed.detail)
            return
        except TimeoutError:
            self._discard(upstream)
            waiter.upstream_failed(
                Reason.UPSTREAM_CONNECT_TIMEOUT,
                f"{destination} did not answer within {self._limits.connect_seconds:g} s",
            )
            return
        if upstream not in self._home or not upstream.usable:
            # The other side closed between the handshake and this turn of the loop.
            self.lost(upstream)
            waiter.upstream_failed(Reason.UPSTREAM_RESET, "connection closed as soon as it was made")
            return
        self.ticker.add(upstream)
        waiter.upstream_ready(upstream)

    def _discard(self, upstream: Upstream) -> None:
        if upstream.transport is not None:
            upstream.transport.abort()
        self.lost(upstream)

    # What upstreams say.

    def released(self, upstream: Upstream, reusable: bool) -> None:
        now = self.clock()
        if not reusable or not self._current(upstream, now):
            upstream.retire()
            return
        self._idle.setdefault(self._home[upstream], []).append((upstream, now))

    def lost(self, upstream: Upstream) -> None:
        """The connection is gone. Safe to call twice."""
        self.ticker.discard(upstream)
        destination = self._home.pop(upstream, None)
        if destination is None:
            return
        self._open[destination] -= 1
        if not self._open[destination]:
            del self._open[destination]
        idle = self._idle.get(destination)
        if idle:
            idle[:] = [entry for entry in idle if entry[0] is not upstream]

    # Housekeeping.

    def renew(self) -> None:
        """There is a new SVID or bundle: no connection made before is given out again."""
        self._generation += 1
        self.sweep()

    def sweep(self) -> None:
        """Close what has been idle too long or belongs to an older identity; called now and then."""
        now = self.clock()
        oldest = now - self._limits.upstream_keep_alive_seconds
        for destination, idle in list(self._idle.items()):
            stale = [u for u, since in idle if since <= oldest or not self._current(u, now)]
            idle[:] = [entry for entry in idle if entry[0] not in stale]
            for upstream in stale:
                upstream.retire()
            if not idle:
                del self._idle[destination]

    def counts(self) -> dict[tuple[str, ...], float]:
        """Gauge values: connections by state."""
        idle = sum(map(len, self._idle.values()))
        return {("idle",): idle, ("busy",): len(self._home) - idle}

    def close(self) -> None:
        """Close every connection that is open."""
        for upstream in list(self._home):
            upstream.deadline = NEVER
            if upstream.transport is not None:
                upstream.transport.abort()
        self._idle.clear()
