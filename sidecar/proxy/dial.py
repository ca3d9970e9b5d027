"""Making a connection to a destination: plain, mutual TLS of the mesh, or public TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from mesh.identity.spiffe_id import SpiffeId
from mesh.policy.boundary import Boundary, Reach
from mesh.reasons import Reason
from sidecar.addresses import read_host
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.refused import TlsRefused
from sidecar.proxy.bounded import Lookup, Observed, bounded_connection
from sidecar.proxy.lookups import DECLARED_AT_ONCE, UNDECLARED_AT_ONCE, Lookups
from sidecar.proxy.ourselves import Guard, Ourselves
from sidecar.proxy.pool import ConnectFailed, Destination, TlsMode
from sidecar.proxy.tls import TlsProtocol, expect_identity, mesh_client, public_client, public_context
from sidecar.proxy.tunnel import Relay
from sidecar.proxy.upstream import Upstream

KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
"""An event stream may be silent for hours; TCP itself finds out within two minutes that the other side died."""


class NetworkDialer:
    """Opens connections, but none beyond a destination's reach, and none to this sidecar: that would be a loop.

    `connect` maps `host:port` to another address, for runs without DNS; there the reach does not count, because
    who wrote the configuration named the address. `own`: where this sidecar listens. `observed` is told of
    addresses that are dialled only because every policy is in mode observe. `declared` and `undeclared` look up
    names, the latter those that the agent chose. `authorities_file` and `more_authorities` as `public_context`.
    """

    def __init__(
        self,
        identity: IdentityHolder,
        *,
        connect: Mapping[str, str],
        own: Ourselves | None = None,
        authorities_file: str | None = None,
        more_authorities: str = "",
        handshake: Callable[[str, Reason, str | None, str | None], None] = lambda *outcome: None,
        declared: Lookup | None = None,
        undeclared: Lookup | None = None,
        observed: Observed = lambda destination, detail: None,
    ) -> None:
        self._identity = identity
        self._connect = {_address(name): _address(address) for name, address in connect.items()}
        self._own = own or Ourselves()
        self._authorities = authorities_file, more_authorities
        self._handshake = handshake
        self.open: Callable[..., Awaitable[tuple[asyncio.Transport, Any]]] = _create_connection
        """How a connection to an address is made: the event loop's own way."""
        self.declared = declared or Lookups(DECLARED_AT_ONCE)
        self.undeclared = undeclared or Lookups(UNDECLARED_AT_ONCE)
        self._observed = observed

    def boundary(self, *, private_addresses: bool) -> Boundary:
        """Where `egress: allow` ends, for the policy: what `connect` names is the operator's own."""
        return Boundary(private_addresses=private_addresses, named=self._connect.keys())

    def address(self, host: str, port: int) -> tuple[str, int]:
        """Where this is dialled: what `connect` maps it to, or itself."""
        return self._connect.get((host, port), (host, port))

    @cached_property
    def _public(self) -> ssl.SSLContext:
        return public_context(*self._authorities)

    async def dial(self, destination: Destination, protocol: asyncio.Protocol) -> None:
        """Connect `protocol`; returns when it may be written to. Raises ConnectFailed."""
        if destination.tls == TlsMode.NONE:
            await self._open(protocol, destination)
            return
        await self._dial_tls(destination, protocol)

    async def _dial_tls(self, destination: Destination, protocol: asyncio.Protocol) -> None:
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(protocol, outcome)
        try:
            tls = self._tls(destination, waiting)
        except TlsRefused as refused:
            raise ConnectFailed(refused.reason, refused.detail) from refused
        await self._open(tls, destination)
        try:
            await outcome
        except TlsRefused as refused:
            asked = destination.identity or str(destination)
            self._handshake(asked, refused.reason, refused.detail, None)
            raise ConnectFailed(refused.reason, refused.detail) from refused
        except asyncio.CancelledError:
            tls.abort()
            raise
        peer = str(tls.peer.spiffe_id) if tls.peer else str(destination)
        self._handshake(peer, Reason.ALLOWED, None, tls.get_extra_info("peer_serial"))
        if isinstance(protocol, Upstream | Relay):
            protocol.expires = expiry(tls, protocol.clock(), self._identity.clock())

    def _tls(self, destination: Destination, inner: _Waiting) -> TlsProtocol:
        if destination.tls == TlsMode.PUBLIC:
            return public_client(inner, self._public, destination.server_name, on_failure=inner.failed)
        expected = destination.identity
        authorize = expect_identity(SpiffeId.parse(expected)) if expected else None
        return mesh_client(inner, self._identity, authorize=authorize, on_failure=inner.failed)

    async def _open(self, protocol: asyncio.Protocol, destination: Destination) -> None:
        """Connect, and look who answers where the port is one of our own."""
        asked = destination.host, destination.port
        host, port = self._connect.get(asked, asked)
        reach = Reach.ANYWHERE if asked in self._connect else destination.reach
        guard = Guard(protocol, self._own) if self._own.listens_on(port) else None
        try:
            transport = await self._transport(guard or protocol, host, port, reach, destination.source)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConnectFailed(Reason.UPSTREAM_UNREACHABLE, f"{host}:{port}: {reason}") from error
        if guard is not None and guard.refused:
            raise ConnectFailed(Reason.UPSTREAM_UNREACHABLE, "this address is the sidecar itself")
        keep_alive(transport.get_extra_info("socket"))

    async def _transport(
        self, protocol: asyncio.BaseProtocol, host: str, port: int, reach: str, source: str
    ) -> asyncio.Transport:
        async def connect(address: str) -> asyncio.Transport:
            # Not by a socket of our own: uvloop does not close it where the connection ends at once.
            transport, _ = await self.open(lambda: protocol, address, port)
            return transport

        if source or (reach == Reach.ANYWHERE and not isinstance(read_host(host), str)):
            local = (source, 0) if source else None
            transport, _ = await self.open(lambda: protocol, host, port, local_addr=local)
            return transport
        lookup = self.declared if reach in (Reach.ANYWHERE, Reach.ROUTED) else self.undeclared
        return await bounded_connection(
            host, port, reach, lookup=lookup, observed=self._observed, connect=connect
        )


async def _create_connection(
    make: Callable[[], asyncio.BaseProtocol], host: str, port: int, **options: Any
) -> tuple[asyncio.Transport, Any]:
    return await asyncio.get_running_loop().create_connection(make, host, port, **options)


class _Waiting(asyncio.Protocol):
    """Stands before the real protocol until the handshake is over, then steps aside."""

    def __init__(self, protocol: asyncio.Protocol, outcome: asyncio.Future[None]) -> None:
        self._protocol = protocol
        self._outcome = outcome

    def connection_made(self, transport: Any) -> None:
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(transport)
        if not self._outcome.done():
            self._outcome.set_result(None)

    def failed(self, refused: TlsRefused) -> None:
        if not self._outcome.done():
            self._outcome.set_exception(refused)


def keep_alive(sock: Any) -> None:
    """TCP options of every long-lived connection."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for level, option, value in KEEPALIVE:
        sock.setsockopt(level, option, value)


def expiry(transport: Any, loop_now: float, now: datetime) -> float:
    """Loop time at which the first of the two certificates of a TLS connection ends."""
    ends = [transport.get_extra_info(name) for name in ("peer_not_after", "svid_not_after")]
    left = [(end - now).total_seconds() for end in ends if end is not None]
    return loop_now + min(left, default=float("inf"))


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
