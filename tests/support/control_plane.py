"""A control plane for one sidecar: it takes the request of the stream over TLS, and says what the test wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from mesh.distribution.digest import content_version
from mesh.distribution.messages import (
    Configuration,
    FromControl,
    FromSidecar,
    read_from_sidecar,
    write_line,
)
from mesh.identity.issuance import RefusedAnswer, write_document
from mesh.protocol.http1.target import Target, absolute_form
from mesh.protocol.http1.write import LAST_CHUNK, chunk
from sidecar.settings import ControlSettings
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files

BACKEND = {
    "apiVersion": "outrider.dev/v1alpha1",
    "kind": "Backend",
    "metadata": {"name": "github", "namespace": "agents"},
    "spec": {
        "protocol": "MCP",
        "host": "github.tools.svc",
        "port": 8080,
        "path": "/mcp",
        "tls": {"mode": "None"},
    },
}


def granting(*tools: str, **spec: Any) -> dict[str, Any]:
    """An AgentPolicy that grants these tools of `BACKEND`."""
    rule = {"backend": "github", "tools": {"allow": list(tools)}}
    return {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": "triage", "namespace": "agents"},
        "spec": {"outbound": [rule], **spec},
    }


def configuration(
    version: str, *documents: Mapping[str, Any], labels: dict[str, str] | None = None
) -> Configuration:
    """A configuration of these documents; `BACKEND` is one of them."""
    return Configuration(version, [dict(BACKEND), *map(dict, documents)], labels or {})


def sealed(of: Configuration) -> Configuration:
    """With the version that its content has."""
    return msgspec.structs.replace(of, version=content_version(of))


@dataclass
class ControlPlaneServer:
    """What listens, what it was told, and what it says: `latest` to whoever comes, and whatever is pushed."""

    folder: Path
    latest: Configuration | None = None
    refusal: tuple[int, RefusedAnswer] | None = None
    authorities: bytes = b""
    """Who vouches for client certificates (DER); none: none is asked for."""
    certificates: list[bytes | None] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    heard: list[FromSidecar] = field(default_factory=list)
    port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def target(self) -> Target:
        return absolute_form(f"https://localhost:{self.port}".encode())

    @property
    def roots(self) -> str:
        return (self.folder / ROOT_FILE).read_text()

    @property
    def token(self) -> Path:
        return self.folder / "token"

    def settings(self, state: Path | None = None) -> ControlSettings:
        return ControlSettings(self.target, self.roots, self.token, state)

    async def start(self) -> None:
        """Listen, on the port that it had before if it had one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.folder / CERT_FILE, self.folder / KEY_FILE)
        if self.authorities:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(cadata=self.authorities)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone, with every connection."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.transport.abort()
            await asyncio.sleep(0)

    def push(self, what: Configuration | FromControl) -> None:
        """Say this to everybody who is connected, and a configuration to whoever comes later too."""
        if isinstance(what, Configuration):
            self.latest = what
            what = FromControl(configuration=what)
        for writer in self._writers:
            writer.write(chunk(write_line(what)))

    async def until(self, wanted: Any) -> FromSidecar:
        """The first message that `wanted` (a function) finds true, once there is one."""
        async with asyncio.timeout(60):
            while True:
                for message in self.heard:
                    if wanted(message):
                        return message
                self._news.clear()
                await self._news.wait()

    async def applied(self, version: str) -> None:
        """Until a sidecar says that it runs `version`."""
        await self.until(lambda message: message.applied == version)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.certificates.append(writer.get_extra_info("ssl_object").getpeercert(True))
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        if self.refusal is not None:
            status, refused = self.refusal
            body = write_document(refused)
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
            await writer.drain()
            await reader.read()
            return
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        self._writers.add(writer)
        while size := int(await reader.readline() or b"0", 16):
            line = (await reader.readexactly(size + 2))[:-2]
            message = read_from_sidecar(line)
            self.heard.append(message)
            self._news.set()
            if message.hello is not None and self.latest is not None:
                writer.write(chunk(write_line(FromControl(configuration=self.latest))))
        writer.write(LAST_CHUNK)


@asynccontextmanager
async def control_plane(
    folder: Path, latest: Configuration | None = None
) -> AsyncIterator[ControlPlaneServer]:
    """A control plane on a free port of loopback, with a token in `folder`."""
    server = _prepared(folder, latest)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _prepared(folder: Path, latest: Configuration | None) -> ControlPlaneServer:
    folder.mkdir(parents=True, exist_ok=True)
    make_serving_files(folder, ["localhost"], datetime.now(UTC), timedelta(days=1))
    server = ControlPlaneServer(folder, latest)
    server.token.write_text("a.b.c\n")
    return server
