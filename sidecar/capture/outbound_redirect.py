"""What the kernel brought here instead of where the agent dialled (port 15001).

    TLS       to whom by its server name: ended here, passed as it is, or refused, as CONNECT would be
    HTTP      to whom by Host; every request is routed and decided like one that came to the forward proxy
    the rest  by the address that was dialled: to a Backend with protocol TCP, or wherever egress is open

A TCP Backend is declared by name, so its name is resolved and compared with the address. That comes first, and
before a byte is read: in such protocols the server may be the one that speaks first. Where a Backend that must be
inspected has the same address and port, only what is neither TLS nor HTTP is taken to be for the TCP Backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mesh.policy.documents import Backend, BackendProtocol
from mesh.policy.principal import Principal
from mesh.protocol.opening import Opening
from mesh.protocol.tls import alert
from mesh.protocol.tls.client_hello import ClientHello
from mesh.reasons import Reason
from sidecar.capture.peek import Peek
from sidecar.proxy.channel import Channel
from sidecar.proxy.connect import TunnelRefused, decide_tunnel
from sidecar.proxy.downstream import MAX_HELD, Downstream
from sidecar.proxy.plan import Tunnel
from sidecar.tasks import spawn

if TYPE_CHECKING:
    from sidecar.addresses import Address
    from sidecar.proxy.listener import Listener
    from sidecar.proxy.pipeline import Pipeline

AGENT = "agent"

Resolve = Callable[[str], Awaitable[frozenset[str]]]
"""The addresses of a host, empty where it has none."""


class OutboundRedirect:
    """Makes the protocols of redirected connections. `original` tells where one was meant to go, None if it was
    opened to this port itself; it may raise OSError."""

    def __init__(
        self,
        pipeline: Pipeline,
        principal: Callable[[], Principal],
        original: Callable[[Any], Address | None],
        resolve: Resolve,
    ) -> None:
        self._pipeline = pipeline
        self._principal = principal
        self._original = original
        self._resolve = resolve

    def accept(self, listener: Listener) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Redirected(self._pipeline, listener, self._principal(), self._original, self._resolve)


class _Redirected(Peek):
    """One redirected connection, until it is known what it is."""

    __slots__ = ("_channel", "_ended", "_opaque", "_original", "_resolve", "_resolving")

    def __init__(
        self,
        pipeline: Pipeline,
        listener: Listener,
        principal: Principal,
        original: Callable[[Any], Address | None],
        resolve: Resolve,
    ) -> None:
        super().__init__(pipeline, listener, AGENT, self._chosen)
        self._channel = Channel("outbound", principal, AGENT)
        self._original = original
        self._resolve = resolve
        self._resolving: asyncio.Task[None] | None = None
        self._opaque = ""  # the TCP Backend that has the address
        self._ended = False  # the agent has said all it has to say

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        try:
            self._channel.captured = self._original(transport.get_extra_info("socket"))
        except OSError as gone:
            self.refuse(Reason.NOT_REDIRECTED, f"its destination cannot be told: {gone.strerror}")
            return
        if self._channel.captured is None:
            self.refuse(Reason.NOT_REDIRECTED, "a connection to the capture port itself")
            return
        port = self._channel.captured[1]
        backends = self._pipeline.policy.backends
        opaque = [b for b in backends if b.protocol is BackendProtocol.TCP and b.port == port]
        if opaque:
            self._resolving = spawn(self._find(opaque), name=f"whose is port {port}")
        elif self._pipeline.policy.egress(*self._channel.captured).allowed:
            self.may_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._resolving is not None:
            self._resolving.cancel()

    def data_received(self, data: bytes) -> None:
        """What the agent says while it is looked up whom it dialled is kept; it is read on, to notice its end."""
        if self._resolving is None:
            super().data_received(data)
            return
        self._received += data
        if len(self._received) > MAX_HELD:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The agent may have said all it has to say before it is known whom it dialled."""
        self._ended = self._resolving is not None
        return self._ended

    @property
    def _dialled(self) -> Address:
        return self._channel.captured or ("", 0)

    async def _find(self, opaque: list[Backend]) -> None:
        """Tunnel to the TCP Backend whose address was dialled, or else read what the agent says."""
        owner = await self._owner(opaque)
        shared = owner is not None and await self._owner(self._inspected()) is not None
        self._resolving = None
        if self.transport.is_closing():
            return
        self.transport.resume_reading()
        self._opaque = owner.host if owner is not None else ""
        if owner is not None and not shared:
            self._tunnel(owner.host)
            return
        early, self._received = self._received, b""
        if early:
            self.data_received(early)
        elif self._ended:
            self.transport.close()

    async def _owner(self, backends: list[Backend]) -> Backend | None:
        """The first of these that has the address."""
        address = self._dialled[0]
        for backend in backends:
            if backend.host == address or address in await self._resolve(backend.host):
                return backend
        return None

    def _inspected(self) -> list[Backend]:
        """The Backends on the port that was dialled into which the sidecar has to look."""
        port = self._dialled[1]
        backends = self._pipeline.policy.backends
        return [b for b in backends if b.protocol is not BackendProtocol.TCP and b.port == port]

    # What it turned out to be.

    def _chosen(self, peek: Peek, found: Opening, hello: ClientHello | None) -> None:
        if found is Opening.HTTP:
            self.become(lambda: Downstream(self._pipeline, self._listener, self._channel))
        elif found is Opening.TLS and hello is not None:
            self._secure(hello)
        else:
            self._tunnel(self._opaque or self._dialled[0])

    def _secure(self, hello: ClientHello) -> None:
        """TLS goes to whom it names. Without a name there is nothing that a policy could be applied to."""
        if hello.server_name is None:
            where = f"{self._dialled[0]}:{self._dialled[1]}"
            self.refuse(Reason.SERVER_NAME_MISSING, where, alert.refusal(Reason.SERVER_NAME_MISSING))
            return
        self._tunnel(hello.server_name, tls=True)

    def _tunnel(self, host: str, *, tls: bool = False) -> None:
        """Go where a CONNECT to `host` would go, by the same decision."""
        pipeline, channel = self._pipeline, self._channel
        port = self._dialled[1]
        decided = decide_tunnel(
            host, port, channel, pipeline.policy, pipeline.recorder, pipeline.intercepts, pipeline.unable
        )
        if isinstance(decided, TunnelRefused):
            self.refuse(decided.reason, decided.where, alert.refusal(decided.reason) if tls else b"")
        elif not decided.inspected:
            self._relay(decided)
        elif tls and pipeline.interception is not None and pipeline.intercepts(host, port):
            channel.tunnel, channel.captured = (host, port), None
            pipeline.interception.take_over(self.transport, self._listener, channel, self.release())
        else:
            detail = f"{host}:{port}"
            reason = pipeline.unable(host, port) if tls else Reason.CONNECT_REFUSED
            self.refuse(reason, detail, alert.refusal(reason) if tls else b"")

    def _relay(self, tunnel: Tunnel) -> None:
        """Bytes as they are. A TCP Backend is reached at the very address that was dialled: it may have several,
        and each may be another member of it."""
        if self._opaque and tunnel.host == self._opaque:
            tunnel = replace(tunnel, destination=tunnel.destination._replace(host=self._dialled[0]))
        received = self.release()
        connection = Downstream(self._pipeline, self._listener, self._channel)
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)
        connection.open_tunnel(tunnel, received, ended=self._ended)
