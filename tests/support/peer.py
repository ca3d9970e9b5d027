"""A mesh peer that speaks raw bytes over mutual TLS: what no sidecar of ours would ever send."""

from __future__ import annotations

import asyncio
from typing import Any

from sidecar.identity.holder import IdentityHolder
from sidecar.proxy.tls import mesh_client
from tests.support.meshed import Mesh


class Peer(asyncio.Protocol):
    """Collects what comes back."""

    def __init__(self) -> None:
        self.received = b""
        self.transport: Any = None
        self._ready = asyncio.Event()
        self._changed = asyncio.Event()
        self.closed = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._ready.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._changed.set()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._changed.set()

    async def ready(self) -> Peer:
        await asyncio.wait_for(self._ready.wait(), 60)
        return self

    async def head(self) -> bytes:
        """Until a whole head has come, or the connection ended."""
        async with asyncio.timeout(60):
            while b"\r\n\r\n" not in self.received and not self.closed:
                self._changed.clear()
                await self._changed.wait()
        return self.received

    async def until(self, end: bytes) -> bytes:
        """Until `end` has come, or the connection ended."""
        async with asyncio.timeout(60):
            while end not in self.received and not self.closed:
                self._changed.clear()
                await self._changed.wait()
        return self.received


async def connect(mesh: Mesh, spiffe_id: str, port: int) -> Peer:
    """Connect to an inbound port with the identity `spiffe_id`."""
    holder = IdentityHolder()
    holder.publish(mesh.identity(spiffe_id))
    peer = Peer()
    await asyncio.get_running_loop().create_connection(lambda: mesh_client(peer, holder), "127.0.0.1", port)
    return await peer.ready()


def request(method: str, path: str, body: bytes = b"", *headers: tuple[str, str]) -> bytes:
    """A request in origin form, as it arrives at an inbound port."""
    fields = [("host", "app:9000"), *headers]
    if body:
        fields.append(("content-length", str(len(body))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
