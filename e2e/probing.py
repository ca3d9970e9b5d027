"""Sends one row of loopholes.py to a server and finds out whether the tool ran.

A legacy server gets a session first, on the same way as the probe. Whether the tool ran is read from the server's
own record after a second, plain call of the allowed tool has been answered: servers work off what they accepted
in order, so there is nothing to wait for.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from e2e.loopholes import ACCEPT, Row
from e2e.raw import Answer, Header, NoAnswer, Route, exchange, request
from e2e.subjects import Kind, Server

JSON_TYPE = (b"Content-Type", b"application/json")
CLIENT = {"name": "probe", "version": "1"}
MODERN_META = json.dumps(
    {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": CLIENT,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
)


@dataclass(slots=True)
class Probe:
    """One client of one server over one route, with a session of its own where the era has sessions."""

    kind: Kind
    server: Server
    route: Route
    _session: bytes | None = None

    def ran(self, row: Row, tool: str) -> tuple[bool, Answer | str]:
        """Send `row` with `tool`; whether it ran, and the answer (or why there was none)."""
        before = len(self.server.executed())
        self._begin()
        try:
            answer: Answer | str = exchange(self._way(row), self._bytes(row, tool))
        except NoAnswer as silence:
            answer = str(silence)
        if not self.kind.records:
            words = self._words(tool).encode()
            return not isinstance(answer, str) and words in answer.body, answer
        self.still_works()
        return tool in self.server.executed()[before:-1], answer

    def plain(self, tool: str, *, last: bool = False) -> bytes:
        """A plain call of `tool` as bytes; the connection stays open after it unless it is the `last`."""
        self._begin()
        data = self._bytes(Row("plain"), tool)
        return data if last else data.replace(b"Connection: close\r\n", b"")

    def still_works(self) -> None:
        """The allowed tool answers a plain call on the same session: no probe may cost a client its session."""
        answer = exchange(self.route, self._bytes(Row("plain"), self.kind.allowed))
        assert self._words(self.kind.allowed).encode() in answer.body, answer

    def ask(self, method: str, params: dict[str, Any], identifier: Any = 7) -> Answer:
        """A proper request of the probe's era, for tests that care about the answer and not about the asking."""
        self._begin()
        if self.kind.modern:
            params = {**params, "_meta": json.loads(MODERN_META)}
        message = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}
        headers = [JSON_TYPE, *self._era()]
        if self.kind.modern:
            name = params.get("name")
            mirrored = [(b"Mcp-Name", name.encode())] if name else []
            version = (b"MCP-Protocol-Version", self.kind.revision.encode())
            headers = [JSON_TYPE, ACCEPT, version, (b"Mcp-Method", method.encode()), *mirrored]
        return exchange(self.route, self._post(headers, json.dumps(message).encode()))

    def _way(self, row: Row) -> Route:
        if row.path is None:
            return self.route
        return Route(self.route.port, row.path, self.route.proxy, self.route.tunnel)

    def _words(self, tool: str) -> str:
        return self.kind.allowed_words if tool == self.kind.allowed else self.kind.forbidden_words

    def _begin(self) -> None:
        if self.kind.modern or self._session is not None:
            return
        params = {"protocolVersion": self.kind.revision, "capabilities": {}, "clientInfo": CLIENT}
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        answer = exchange(self.route, self._post([JSON_TYPE, ACCEPT], json.dumps(hello).encode()))
        assert answer.status == 200, answer
        self._session = answer.header(b"mcp-session-id") or b""
        done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        accepted = exchange(self.route, self._post([JSON_TYPE, *self._era()], json.dumps(done).encode()))
        assert accepted.status == 202, accepted

    def _era(self) -> list[Header]:
        """What a legacy request carries after the handshake."""
        session = [(b"Mcp-Session-Id", self._session)] if self._session else []
        return [ACCEPT, (b"MCP-Protocol-Version", self.kind.revision.encode()), *session]

    def _post(self, headers: list[Header], body: bytes) -> bytes:
        return request("POST", self.route, headers, body)

    def _bytes(self, row: Row, tool: str) -> bytes:
        body = row.encode(self._filled(row.text, tool))
        mcp = [(name, self._filled(value.decode(), tool).encode()) for name, value in row.mcp]
        headers = [*row.headers, *([ACCEPT, *mcp] if self.kind.modern else self._era())]
        if row.chunked:
            half = len(body) // 2
            parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:])]
            body = b"".join(parts) + b"0\r\n\r\n"
            headers.append((b"Transfer-Encoding", b"chunked"))
        return request("POST", self._way(row), headers, body)

    def _filled(self, text: str, tool: str) -> str:
        own = self.kind.allowed_arguments if tool == self.kind.allowed else self.kind.arguments
        other = self.kind.forbidden if tool == self.kind.allowed else self.kind.allowed
        if "<ARGUMENTS," in text:
            more = text.split("<ARGUMENTS,", 1)[1].split(">,<META>", 1)[0]
            text = text.replace(f"<ARGUMENTS,{more}>", f"{own[:-1]},{more}}}")
        marks = {
            "<META>": f'"_meta":{MODERN_META if self.kind.modern else "{}"}',
            "<ARGUMENTS>": own,
            "<ESCAPED>": f"\\u{ord(tool[0]):04x}{tool[1:]}",
            "<BASE64>": base64.b64encode(tool.encode()).decode(),
            "<ALLOWED>": self.kind.allowed,
            "<OTHER>": other,
            "<TOOL>": tool,
        }
        for mark, value in marks.items():
            text = text.replace(mark, value)
        return text
