"""Bytes relayed both ways for a CONNECT that policy lets pass uninspected."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mesh.protocol.opening import TLS_HANDSHAKE
from mesh.protocol.tls import alert
from mesh.protocol.tls.client_hello import ClientHelloReader, NotClientHello
from mesh.reasons import Reason
from sidecar.proxy import replies
from sidecar.proxy.plan import Tunnel
from sidecar.proxy.pool import ConnectFailed
from sidecar.proxy.routing import UNDECLARED
from sidecar.proxy.ticker import NEVER
from sidecar.tasks import spawn

if TYPE_CHECKING:
    from sidecar.proxy.downstream import Downstream
    from sidecar.proxy.pipeline import Pipeline

TUNNEL_OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Relay(asyncio.Protocol):
    """The backend's side of a tunnel; the client's side calls `from_client`.

    Each direction ends by itself, as in TCP: a client that has said all it has to say still gets its answer.
    `first` is what the client of a captured connection has said already, and `ended` whether that was all. It did
    not ask for a tunnel, so that it is not told of one either; None: it sent CONNECT and waits for the answer.
    """

    def __init__(
        self,
        client: Downstream,
        pipeline: Pipeline,
        tunnel: Tunnel,
        first: bytes | None = None,
        *,
        ended: bool = False,
    ) -> None:
        self._client = client
        self._first = first
        self._pipeline = pipeline
        self.tunnel = tunnel
        self._transport: Any = None
        self._connecting: asyncio.Task[None] | None = None
        self._client_ended = ended
        self._backend_ended = False
        self._hello = ClientHelloReader() if tunnel.only_tls or tunnel.backend == UNDECLARED else None
        self._leaves = NEVER
        self.clock = pipeline.clock
        self.expires = NEVER
        """Loop time at which the certificates of the backend's connection end."""

    @property
    def awaited(self) -> bool:
        """True while a client that sent CONNECT waits for the answer: it has nothing to send before that."""
        return self._transport is None and self._first is None

    @property
    def half_closed(self) -> bool:
        """True once one of both has said all it has to say."""
        return self._client_ended or self._backend_ended

    def connect(self) -> None:
        """Reach the destination; the client hears of success or failure."""
        self._client.read_on(False)
        self._connecting = spawn(self._connect(), name=f"tunnel {self.tunnel.destination}")
        self._connecting.add_done_callback(self._settle)

    def _settle(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._failed(Reason.UPSTREAM_UNREACHABLE, "the attempt failed, see the log")

    async def _connect(self) -> None:
        limit = self._pipeline.limits.connect_seconds
        try:
            async with asyncio.timeout(limit):
                await self._pipeline.dialer.dial(self.tunnel.destination, self)
        except ConnectFailed as failed:
            self._failed(failed.reason, failed.detail)
            return
        except TimeoutError:
            self._failed(Reason.UPSTREAM_CONNECT_TIMEOUT, f"no connection within {limit:g} s")
            return
        self._client.tunnel_until(self.expires)

    def _failed(self, reason: Reason, detail: str) -> None:
        destination = str(self.tunnel.destination)
        self._pipeline.recorder.upstream_failure(self.tunnel.backend, destination, reason, detail)
        if self._first is None and self._transport is None:
            self._client.write(replies.tunnel_failed(reason, f"{destination}: {detail}"))
        self._client.hang_up()

    # The backend's side.

    def connection_made(self, transport: Any) -> None:
        """The tunnel is open. Said here and not by the task: the backend may be heard before its next turn."""
        self._transport = transport
        if self._first is None:
            self._client.write(TUNNEL_OPEN)
        self._client.read_on(True)
        if self._first:
            self.from_client(self._first)
        if self._client_ended:
            transport.write_eof()
            self._client.half_closed()

    def data_received(self, data: bytes) -> None:
        self._client.write(data)
        if self._client_ended:
            self._client.rest()

    def eof_received(self) -> bool:
        self._backend_ended = True
        if self._client_ended:
            return False
        self._client.end_writing()
        self._client.half_closed()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._leaves = NEVER
        self._client.hang_up()

    def pause_writing(self) -> None:
        self._client.read_on(False)

    def resume_writing(self) -> None:
        self._client.read_on(True)

    # The client's side.

    def from_client(self, data: bytes) -> None:
        if self._transport is None:
            # Sent before the tunnel was open: a client must wait for the 200, and may be lying about it.
            self._client.abort()
            return
        if self._hello is not None:
            data = self._checked(self._hello, data)
        if data:
            self._transport.write(data)
        if self._backend_ended:
            self._client.rest()

    def _checked(self, reader: ClientHelloReader, data: bytes) -> bytes:
        """What may be passed on of the first bytes: TLS must be to whom the tunnel leads.

        Many hosts share one address at a CDN, and there the server name chooses: a tunnel to a host that nobody
        declared would reach a declared one past its rules.
        """
        tunnel = self.tunnel
        if not reader.received and data[0] != TLS_HANDSHAKE:
            self._hello = None
            return self._refuse(Reason.NOT_TLS, "") if tunnel.only_tls else data
        try:
            hello = reader.feed(data)
        except NotClientHello as malformed:
            return self._refuse(malformed.reason, malformed.detail)
        if hello is None:
            return b""
        self._hello = None
        name = hello.server_name
        if name in (None, tunnel.host) or not (
            tunnel.only_tls or self._pipeline.policy.backends_at(str(name), tunnel.port)
        ):
            return bytes(reader.received)
        return self._refuse(Reason.SERVER_NAME_MISMATCH, f"server name {name}")

    def _refuse(self, reason: Reason, detail: str) -> bytes:
        where = f"{self.tunnel.host}:{self.tunnel.port} {detail}".rstrip()
        self._pipeline.recorder.refused_message("client", self._client.channel.peer, reason, where)
        self._client.write(alert.refusal(reason))
        self._client.hang_up()
        return b""

    def client_writable(self, writable: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if writable:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def client_ended(self) -> bool:
        """The client has said all it will say; True keeps its connection open for what the backend answers."""
        self._client_ended = True
        if self._transport is None or self._transport.is_closing() or self._backend_ended:
            return False
        self._transport.write_eof()
        self._client.half_closed()
        return True

    def client_gone(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None and not self._transport.is_closing():
            self._leaves = self._pipeline.clock() + self._pipeline.limits.linger_seconds
            self._client.watch(self)
            self._transport.close()

    def look(self, now: float) -> bool:
        """The ticker: a backend that does not take the rest of what the client sent is not waited for."""
        if now >= self._leaves:
            self._transport.abort()
            return False
        return self._leaves < NEVER
