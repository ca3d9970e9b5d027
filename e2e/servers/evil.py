"""A server that answers `tools/list` in whatever way the first segment of its path says (evil_answers.py).

It writes its answers as bytes, since no HTTP library would let it say most of them. Everything else that a client
needs to get that far (the handshake, the discovery) is answered properly. A second port takes redirected requests.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from e2e.evil_answers import ALLOWED, BY_ID, FORBIDDEN, EvilRow
from e2e.servers.serve import announce

TOOLS = [
    {"name": name, "description": "text", "inputSchema": {"type": "object"}} for name in (ALLOWED, FORBIDDEN)
]
INFO = {"name": "evil", "version": "1"}
MODERN_FIELDS = {
    "resultType": "complete",
    "ttlMs": 0,
    "cacheScope": "public",
    "_meta": {"io.modelcontextprotocol/serverInfo": INFO},
}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
LATE_SECONDS = 0.3
PRIMER = b"id: %s\r\ndata: \r\nretry: 50\r\n\r\n"


@dataclass(slots=True)
class Asked:
    method: str
    row: str
    rest: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.body) if self.body else {}


@dataclass(slots=True)
class Evil:
    """What is shared between connections: the ports, and the answers that wait for their client's stream.

    A client's GET stream is found by its session, a resumed one by the event id that its POST ended with.
    """

    ports: tuple[int, int] = (0, 0)
    waiting: dict[str, asyncio.Queue[bytes]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await _read(reader)
            await self._answer(asked, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        row = BY_ID[asked.row]
        if asked.method == "GET":
            await self._stream(asked, row, writer)
            return
        if asked.method != "POST":
            writer.write(_plain(200, b""))
            return
        method = asked.message.get("method")
        if method == "tools/list":
            await self._list(asked, row, writer)
        elif method in ("initialize", "server/discover"):
            answer = {"jsonrpc": "2.0", "id": asked.message["id"], "result": _hello(asked.message)}
            session = (b"Mcp-Session-Id", b"session-%d" % next(self.numbers))
            writer.write(_json(answer, *([session] if method == "initialize" else [])))
        else:
            writer.write(_plain(202, b""))
        await writer.drain()

    async def _list(self, asked: Asked, row: EvilRow, writer: asyncio.StreamWriter) -> None:
        if row.way.startswith("redirect") and asked.rest != "moved":
            port = self.ports[1] if row.way == "redirect-away" else self.ports[0]
            place = f"http://localhost:{port}/{row.id}/moved".encode()
            writer.write(_plain(307, b"", (b"Location", place)))
        elif row.way == "get-stream":
            # The 202 comes late: one client takes it for the end of its request unless the answer is there first.
            self._queue(asked.headers.get("mcp-session-id")).put_nowait(self._filled(row, asked.message))
            await asyncio.sleep(LATE_SECONDS)
            writer.write(_plain(202, b""))
        elif row.way == "resumed":
            event_id = f"event-{next(self.numbers)}"
            writer.write(STREAM_HEAD + PRIMER % event_id.encode())
            self._queue(event_id).put_nowait(self._filled(row, asked.message))
        else:
            await _write(writer, row, self._filled(row, asked.message))

    async def _stream(self, asked: Asked, row: EvilRow, writer: asyncio.StreamWriter) -> None:
        """A GET: the stream on which this row's answer comes, if it comes on one; else there is none."""
        name = {"get-stream": "mcp-session-id", "resumed": "last-event-id"}.get(row.way)
        key = asked.headers.get(name) if name else None
        if key is None:
            writer.write(_plain(405, b""))
            return
        writer.write(STREAM_HEAD + b": open\n\n")
        await writer.drain()
        writer.write(await self._queue(key).get())
        await writer.drain()

    def _queue(self, key: str | None) -> asyncio.Queue[bytes]:
        return self.waiting.setdefault(key or "", asyncio.Queue())

    def _filled(self, row: EvilRow, message: Any) -> bytes:
        given = message["id"]
        flipped = str(given) if isinstance(given, int) else int(given) if given.isdigit() else 0
        more = MODERN_FIELDS if "_meta" in (message.get("params") or {}) else {}
        both = json.dumps({**more, "tools": TOOLS})
        safe = json.dumps({**more, "tools": TOOLS[:1]})
        marks = {
            "<ID>": json.dumps(given),
            "<FLIPPED>": json.dumps(flipped),
            "<RESULT>": both,
            "<SAFE>": safe,
            "<ESCAPED-RESULT>": both.replace('"tools"', '"t\\u006fols"').replace("delete_", "\\u0064elete_"),
            "<SEPARATED-RESULT>": both.replace('"text"', '"a\u2028b\u0085c"'),
            "<DOUBLED-RESULT>": both.replace('"tools":', f'"tools":{json.dumps(TOOLS[:1])},"tools":'),
        }
        text = row.text
        for mark, value in marks.items():
            text = text.replace(mark, value)
        return row.encode(text)


def _hello(message: Any) -> dict[str, Any]:
    """The result of the handshake or of the discovery."""
    if message["method"] == "server/discover":
        return {**MODERN_FIELDS, "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    version = message["params"]["protocolVersion"]
    return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": INFO}


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await _body(reader, headers)
    method, target, _ = first.split(" ")
    _, row, rest = target.split("/", 2)
    return Asked(method, row, rest, headers, body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _plain(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return b"HTTP/1.1 %d X\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        lines,
        len(body),
        body,
    )


def _json(value: Any, *headers: tuple[bytes, bytes]) -> bytes:
    return _plain(200, json.dumps(value).encode(), (b"Content-Type", b"application/json"), *headers)


async def _write(writer: asyncio.StreamWriter, row: EvilRow, body: bytes) -> None:
    headers = list(row.headers)
    if row.content_type is not None:
        headers.append((b"Content-Type", row.content_type))
    if row.framing == "length":
        writer.write(_plain(row.status, body, *headers))
        return
    if row.framing != "close":
        headers.append((b"Transfer-Encoding", b"chunked"))
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    writer.write(b"HTTP/1.1 %d X\r\n%sConnection: close\r\n\r\n" % (row.status, lines))
    if row.framing == "close":
        writer.write(body)
        return
    size = 1 if row.framing == "bytewise" else len(body)
    for start in range(0, len(body), size):
        part = body[start : start + size]
        writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


async def main() -> None:
    evil = Evil()
    here = await asyncio.start_server(evil.connection, "127.0.0.1", 0)
    there = await asyncio.start_server(evil.connection, "127.0.0.1", 0)
    evil.ports = (here.sockets[0].getsockname()[1], there.sockets[0].getsockname()[1])
    announce(evil.ports[0])
    async with here, there:
        await asyncio.gather(here.serve_forever(), there.serve_forever())


if __name__ == "__main__":
    asyncio.run(main())
