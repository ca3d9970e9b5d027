"""A sidecar in the test's own loop, between a raw client and a scripted backend, on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mesh.policy.load import load_texts
from sidecar.app import Sidecar
from sidecar.config import (
    AgentSettings,
    ApplicationSettings,
    Decisions,
    IdentitySettings,
    ListenSettings,
    SidecarConfig,
)
from sidecar.limits import Limits

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github}
spec: {protocol: MCP, host: github.tools.svc, port: 8080, path: /mcp, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: plain}
spec: {protocol: HTTP, host: plain.tools.svc, port: 8081, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: beside}
spec: {protocol: HTTP, host: github.tools.svc, port: 8080, path: /oauth, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  outbound:
  - backend: github
    tools: {allow: [search, "list_*"], deny: ["*delete*"]}
    prompts: {allow: [greet]}
    resources: {allow: ["repo://acme/*"]}
  - backend: plain
  - backend: beside
"""

ELSEWHERE = "elsewhere.example.com:7000"
"""Declared by no Backend, and given an address by the configuration: open under egress: allow."""


@dataclass
class Backend:
    """A scripted server: each connection runs the script; what it saw is kept."""

    script: Script
    port: int = 0
    connections: int = 0
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.lost.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Backend]:
    """Run a scripted server on a free port."""
    backend = Backend(script)
    server = await asyncio.start_server(backend.handle, "127.0.0.1", 0)
    backend.port = server.sockets[0].getsockname()[1]
    try:
        yield backend
    finally:
        server.close()


@asynccontextmanager
async def sidecar_for(
    backend_port: int,
    *,
    policy: str = POLICY,
    limits: Limits | None = None,
    connect: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Sidecar, int]]:
    """A sidecar whose Backends all lead to `backend_port`, as does ELSEWHERE; gives it and its proxy port."""
    config = SidecarConfig(
        AgentSettings("agents", "triage"),
        IdentitySettings(),
        ListenSettings(("127.0.0.1", 0), None, ("127.0.0.1", 0)),
        ApplicationSettings(),
        (Path("policies.yaml"),),
        {
            "github.tools.svc:8080": f"127.0.0.1:{backend_port}",
            "plain.tools.svc:8081": f"127.0.0.1:{backend_port}",
            ELSEWHERE: f"127.0.0.1:{backend_port}",
            **(connect or {}),
        },
        limits or replace(Limits(), drain_seconds=0.5),
        Decisions.NONE,
    )
    sidecar = Sidecar(config, load_texts([("policies.yaml", policy)]))
    addresses = await sidecar.start()
    try:
        yield sidecar, int(addresses["forward"].rpartition(":")[2])
    finally:
        sidecar.stop()
        await sidecar.drain()


def unready(sidecar: Sidecar) -> tuple[str, ...]:
    """The codes of why a sidecar cannot serve now; empty when it can."""
    return tuple(obstacle.code for obstacle in sidecar.readiness().reasons)


@dataclass
class Client:
    """A raw client of the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(60):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        start, *lines = raw.decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines if line)
        return int(start.split(" ")[1]), fields

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, fields = await self.head()
        async with asyncio.timeout(60):
            if fields.get("transfer-encoding") == "chunked":
                return status, fields, b"".join([part async for part in self.chunks()])
            return status, fields, await self.reader.readexactly(int(fields.get("content-length", 0)))

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)

    async def rpc(self, message: Any, **headers: str) -> tuple[int, Any]:
        """POST a message to the github Backend and read the JSON answer."""
        await self.send(post(message, **headers))
        status, _, body = await self.answer()
        return status, json.loads(body) if body else None


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[Client]:
    """A connection to the proxy."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def post(message: Any, *, path: str = "/mcp", **headers: str) -> bytes:
    """An absolute-form POST of JSON (or of raw bytes) to the github Backend."""
    body = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
    fields = {
        "host": "github.tools.svc:8080",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "content-length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST http://github.tools.svc:8080{path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def call(tool: str, ident: Any = 1, **arguments: Any) -> dict[str, Any]:
    """A tools/call request."""
    return {
        "jsonrpc": "2.0",
        "id": ident,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one request with Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head, await reader.readexactly(length)


def answering(*answers: bytes) -> tuple[Script, list[tuple[bytes, bytes]]]:
    """A script that gives one answer after the other, the last one for ever; and the list of what it saw."""
    seen: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(answers[min(len(seen), len(answers)) - 1])
            await writer.drain()

    return script, seen


def json_answer(value: Any, status: str = "200 OK", **headers: str) -> bytes:
    """A JSON response."""
    body = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    fields = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def result(value: Any, ident: Any = 1) -> dict[str, Any]:
    """A JSON-RPC result."""
    return {"jsonrpc": "2.0", "id": ident, "result": value}


TOOLS = [
    {"name": n, "inputSchema": {"type": "object"}} for n in ("search", "drop", "list_all", "list_delete")
]
"""What the server has: two that the policy grants, two that it does not."""
