"""A server behind InterceptedTls on loopback, which answers every request with the name it stands for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mesh.policy.documents import Backend, BackendProtocol, BackendTls, TlsMode
from mesh.protocol.tls.client_hello import ClientHello, ClientHelloReader
from sidecar.identity.refused import TlsRefused
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.server import intercepting_server


class Echo(asyncio.Protocol):
    """Answers one request and closes."""

    def __init__(self, server: Intercepted) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._server.transports.append(transport)
        tls = transport.get_extra_info("ssl_object")
        self._server.spoken.append((tls.version(), transport.get_extra_info("alpn")))

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            body = f"this is {self._server.host}".encode()
            head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)
            self._transport.close()


class Asked(asyncio.Protocol):
    """Reads whom the client asks for, and lets the server stand in for that host."""

    def __init__(self, server: Intercepted) -> None:
        self._server = server
        self._reader = ClientHelloReader()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        hello = self._reader.feed(data)
        if hello is not None:
            protocol: Any = self._server.stand_in_for(hello)
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)
            protocol.data_received(bytes(self._reader.received))


@dataclass
class Intercepted:
    """What the server saw. `spoken` has (TLS version, ALPN) of each connection."""

    authority: InterceptionAuthority
    host: str
    port: int = 0
    transports: list[Any] = field(default_factory=list)
    spoken: list[tuple[str, str | None]] = field(default_factory=list)
    hellos: list[ClientHello] = field(default_factory=list)
    failures: list[TlsRefused] = field(default_factory=list)
    silences: list[TlsRefused] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def accept(self) -> asyncio.Protocol:
        return self._stand_in(self.host)

    def accept_redirected(self) -> asyncio.Protocol:
        """As `accept`, but for whom the client asks: its connection was opened to an address."""
        return Asked(self)

    def stand_in_for(self, hello: ClientHello) -> asyncio.Protocol:
        self.hellos.append(hello)
        return self._stand_in(hello.server_name or "127.0.0.1")

    def _stand_in(self, host: str) -> asyncio.Protocol:
        return intercepting_server(
            Echo(self), self.authority, host, on_failure=self._failed, on_silence=self._silent
        )

    def _failed(self, refused: TlsRefused) -> None:
        self.failures.append(refused)
        self.told.set()

    def _silent(self, refused: TlsRefused) -> None:
        self.silences.append(refused)
        self.told.set()


@asynccontextmanager
async def intercepted(
    authority: InterceptionAuthority, host: str, *, redirected: bool = False
) -> AsyncIterator[Intercepted]:
    """Serve as `host` on a free port of loopback; `redirected`: as whomever the client asks for."""
    server = Intercepted(authority, host)
    accept = server.accept_redirected if redirected else server.accept
    listening = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


def backend(
    host: str, protocol: BackendProtocol = BackendProtocol.MCP, mode: TlsMode = TlsMode.PUBLIC
) -> Backend:
    """A Backend of which only the host, the protocol and the kind of TLS matter."""
    return Backend(host, None, protocol, host, 443, "/", BackendTls(mode))
