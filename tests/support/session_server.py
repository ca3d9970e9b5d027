"""A server of MCP that binds each session to the Authorization it was begun with, as the specification says."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback import json_answer, read_request, result

VERSION = "2025-11-25"
GONE = json_answer({"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": "?"}}, "404 Not Found")
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"


@dataclass(frozen=True)
class Seen:
    """One request: HTTP's method or that of the message, in which session, as whom."""

    what: str
    session: str
    bearer: str
    fields: dict[str, str]


@dataclass
class SessionServer:
    """`crossed` holds requests that came in another's session. `streams`: initialize is answered with a stream,
    which stays open. `initialize`: answers it in place of the server, unless it gives None."""

    sessions: dict[str, str] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    seen: list[Seen] = field(default_factory=list)
    crossed: list[Seen] = field(default_factory=list)
    streams: bool = False
    initialize: Callable[[Seen], bytes | None] = lambda seen: None
    notified: Callable[[Seen], bytes | None] = lambda seen: None
    broken: bool = False
    """It closes connections in place of answers."""
    gate: asyncio.Event | None = None
    count: int = 0

    def restart(self) -> None:
        """It knows no session any more."""
        self.sessions.clear()
        self.ready.clear()

    def begun(self) -> list[str]:
        """As whom sessions were begun, in order."""
        return [seen.bearer for seen in self.seen if seen.what == "initialize"]

    def told(self, what: str) -> list[tuple[str, str]]:
        """Who sent these, in which session."""
        return [(seen.bearer, seen.session) for seen in self.seen if seen.what == what]

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            start, *lines = head.decode("latin-1").split("\r\n")
            fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines if line)}
            message = json.loads(body) if body else {}
            what = (message.get("method") if isinstance(message, dict) else "batch") or start.split(" ")[0]
            bearer = fields.get("authorization", "").removeprefix("Bearer ")
            seen = Seen(what, fields.get("mcp-session-id", ""), bearer, fields)
            self.seen.append(seen)
            if self.broken:
                return
            if what == "initialize":
                answer = self.initialize(seen) or await self._begin(seen, message)
            else:
                answer = self._answer(seen, message)
            writer.write(answer)
            await writer.drain()
            if answer.startswith(STREAM):
                # Open until the client has enough.
                await reader.read()
                return

    async def _begin(self, seen: Seen, message: dict[str, Any]) -> bytes:
        if self.gate is not None:
            await self.gate.wait()
        self.count += 1
        session = f"session-{self.count}"
        self.sessions[session] = seen.bearer
        said = result({"protocolVersion": VERSION, "capabilities": {}, "serverInfo": {}}, message["id"])
        if self.streams:
            event = f": hello\n\nevent: message\ndata: {json.dumps(said)}\n\n"
            return STREAM + f"mcp-session-id: {session}\r\n\r\n{event}".encode()
        return json_answer(said, mcp_session_id=session)

    def _answer(self, seen: Seen, message: dict[str, Any]) -> bytes:
        notified = self.notified(seen) if seen.what == "notifications/initialized" else None
        if notified is not None:
            return notified
        if seen.session not in self.sessions:
            return GONE
        if self.sessions[seen.session] != seen.bearer:
            self.crossed.append(seen)
            return GONE
        if seen.what == "notifications/initialized":
            self.ready.add(seen.session)
            return b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
        if seen.what == "DELETE":
            del self.sessions[seen.session]
            return b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        if seen.session not in self.ready or seen.what == "batch":
            return json_answer({}, "400 Bad Request")
        if seen.what == "GET":
            return STREAM + b"mcp-session-id: %b\r\n\r\n: open\n\n" % seen.session.encode()
        return json_answer(result({"content": []}, message["id"]), mcp_session_id=seen.session)


def token_for(form: dict[str, str]) -> tuple[int, Any]:
    """An exchange whose token tells whose it is: `token-of-alice`, or `token-of-nobody` for the agent itself."""
    user = "nobody"
    if "subject_token" in form:
        claims = form["subject_token"].split(".")[1]
        user = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
    body = {"access_token": f"token-of-{user}", "token_type": "Bearer", "expires_in": 300}
    return 200, {**body, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
