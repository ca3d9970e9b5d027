"""Every way in which a message of MCP can travel between an agent and a server, each driven with one call."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from mesh.protocol.mcp.headers import encode_value
from mesh.protocol.mcp.methods import METHODS
from mesh.protocol.mcp.versions import Era
from tests.support.guarded_messages import Sample
from tests.support.loopback import Client, json_answer, post, read_request

SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
LAST = {"jsonrpc": "2.0", "method": "notifications/resources/list_changed", "params": {"last": True}}
"""Sent after a message on a stream, so that one which was dropped is not waited for."""
VERSION = "2026-07-28"


def event(message: Any, name: str = "message") -> bytes:
    data = message if type(message) is str else json.dumps(message)
    return f"event: {name}\ndata: {data}\n\n".encode()


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Server:
    """Answers each POST with what stands in `answer`, keeps what it got, and holds GET open for `push`."""

    answer: bytes = ACCEPTED
    got: list[tuple[bytes, Any]] = field(default_factory=list)
    stream: asyncio.StreamWriter | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            if head.startswith(b"GET"):
                writer.write(SSE + b"\r\n: open\n\n")
                self.stream = writer
                self.opened.set()
                await reader.read()
                return
            value = json.loads(body)
            self.got.append((head, value))
            # What is not a request gets no answer, here as anywhere.
            first = value[0] if type(value) is list else value
            writer.write(self.answer if "id" in first and "method" in first else ACCEPTED)
            await writer.drain()

    def push(self, data: bytes) -> None:
        assert self.stream is not None
        self.stream.write(data)


def request_of(method: str, params: dict[str, Any], ident: Any, era: Era) -> tuple[Any, dict[str, str]]:
    """A request, and the header fields that go with it."""
    message = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
    return message, fields_of(message, era)


def fields_of(message: dict[str, Any], era: Era) -> dict[str, str]:
    """Header fields that go with a message; what 2026-07-28 has in its params is put there."""
    if era is Era.LEGACY or "method" not in message:
        return {}
    params = message["params"]
    params["_meta"] = {
        **params.get("_meta", {}),
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    fields = {"mcp_protocol_version": VERSION, "mcp_method": message["method"]}
    mirrored = METHODS[message["method"]].mirrored
    if mirrored is not None and type(name := params.get(mirrored)) is str:
        fields["mcp_name"] = encode_value(name).decode()
    return fields


@dataclass
class Shown:
    """What came of one message: what the other side got in its place, and what the server got meanwhile."""

    messages: list[dict[str, Any]]
    raw: str
    posted: list[Any]


class Way:
    """How a server's message travels to an agent."""

    def __init__(self, client: Client, server: Server, era: Era, name: str) -> None:
        self.client = client
        self.server = server
        self.era = era
        self.name = name
        self._ident = 1000
        self._listening: Client | None = None

    def carries(self, sample: Sample) -> bool:
        """Whether a message of this kind can go this way."""
        if "json" in self.name:
            return sample.kind == "answer"
        return True

    async def deliver(self, sample: Sample, message: dict[str, Any]) -> Shown:
        """Send `message`, made from the sample, and read what arrives."""
        self._ident += 1
        if sample.kind == "answer":
            message["id"] = self._ident
        method, params = sample.asked or ("tools/call", {"name": "search", "arguments": {}})
        asked, fields = request_of(method, dict(params), self._ident, self.era)
        before = len(self.server.got)
        raw = await (
            self._on_post(asked, fields, sample, message) if self._posts else self._on_stream(asked, message)
        )
        messages = [one for one in _messages(raw) if not _is_filler(one, self._ident)]
        if sample.kind == "request" and not messages:
            await _until(lambda: len(self.server.got) > before + 1)
        return Shown(messages, raw, [value for _, value in self.server.got[before + 1 :]])

    @property
    def _posts(self) -> bool:
        return self.name.startswith("post")

    async def _on_post(
        self, asked: Any, fields: dict[str, str], sample: Sample, message: dict[str, Any]
    ) -> str:
        batch = self.name.endswith("batch")
        shown = [message] if batch else message
        if "json" in self.name:
            self.server.answer = json_answer(shown)
        else:
            events = framed(event(shown))
            if sample.kind != "answer":
                events += framed(event({"jsonrpc": "2.0", "id": self._ident, "result": {"filler": True}}))
            self.server.answer = SSE + b"transfer-encoding: chunked\r\n\r\n" + events + b"0\r\n\r\n"
        await self.client.send(post([asked] if batch else asked, **fields))
        status, _, body = await self.client.answer()
        assert status == 200, (status, body)
        return body.decode()

    async def _on_stream(self, asked: Any, message: dict[str, Any]) -> str:
        if self._listening is None:
            raise AssertionError("not listening")
        self.server.answer = ACCEPTED
        await self.client.send(post(asked))
        await self.client.answer()
        self.server.push(event([message] if self.name.endswith("batch") else message) + event(LAST))
        raw = b""
        async with asyncio.timeout(20):
            while b'"last":' not in raw:
                raw += await self._listening.reader.readuntil(b"\n\n")
        return raw.decode()

    async def listen(self, listening: Client) -> None:
        """Open the stream that the server's messages come on."""
        path = "/mcp/sse" if self.name == "http_sse" else "/mcp"
        await listening.send(
            f"GET http://github.tools.svc:8080{path} HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
            "accept: text/event-stream\r\n\r\n".encode()
        )
        await listening.head()
        async with asyncio.timeout(20):
            await self.server.opened.wait()
        if self.name == "http_sse":
            self.server.push(event("/mcp/messages?sessionId=1", "endpoint"))
        self._listening = listening


SERVER_WAYS = {
    Era.LEGACY: (
        "post_json",
        "post_json_batch",
        "post_sse",
        "post_sse_batch",
        "get_sse",
        "get_sse_batch",
        "http_sse",
    ),
    Era.MODERN: ("post_json", "post_sse"),
}
CLIENT_WAYS = {Era.LEGACY: ("post", "batch", "message_endpoint"), Era.MODERN: ("post",)}


def _messages(raw: str) -> list[dict[str, Any]]:
    """The messages of a body or of a part of a stream, in order."""
    if raw[:1] in ("{", "["):
        return _flat(json.loads(raw))
    lines = [line.split("data: ", 1)[1] for line in raw.split("\n") if "data: {" in line or "data: [" in line]
    return [one for line in lines for one in _flat(json.loads(line.strip()))]


def _flat(value: Any) -> list[dict[str, Any]]:
    return value if type(value) is list else [value]


def _is_filler(message: dict[str, Any], ident: Any) -> bool:
    return message == LAST or message.get("result") == {"filler": True}


async def _until(done: Any) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.001)


async def say(client: Client, server: Server, way: str, message: dict[str, Any], era: Era) -> Shown:
    """A message of the client's; `messages` is what it got back, `posted` what the server got."""
    fields = fields_of(message, era)
    before = len(server.got)
    path = "/mcp/messages?sessionId=1" if way == "message_endpoint" else "/mcp"
    server.answer = json_answer({"jsonrpc": "2.0", "id": message.get("id"), "result": {"filler": True}})
    await client.send(post([message] if way == "batch" else message, path=path, **fields))
    status, _, body = await client.answer()
    assert status in (200, 202, 404), (status, body)
    text = body.decode()
    raw = json.dumps([[head.decode(), value] for head, value in server.got[before:]])
    return Shown(_messages(text) if text else [], raw, [value for _, value in server.got[before:]])
