"""What a running MCP server offers, asked over HTTP: `tools/list`, page by page, in the words of both eras.

A server of 2026-07-28 answers at once; an older one wants a handshake first, which is made when the first question
is not understood (MCP 2025-11-25, lifecycle; 2026-07-28, basic protocol). Answers come as JSON, or as an event
stream whose last event has the answer. The HTTP+SSE transport of 2024-11-05 is not spoken.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from mesh.protocol.mcp.versions import VERSION_KEY
from mesh.protocol.sse import SseReader, SseRefused
from mesh.settings.table import VERSION

TIMEOUT_SECONDS = 10.0
MAX_PAGES = 100
MAX_ANSWER_BYTES = 16 * 1024 * 1024
_MODERN, _LEGACY = "2026-07-28", "2025-11-25"
_CLIENT = {"name": "outrider", "version": VERSION}


class ServerFailed(Exception):
    """The server, or the way to it, is at fault; the text says how."""


@dataclass(slots=True)
class _Session:
    """A conversation with one server. `headers` go with each message after the handshake."""

    url: str
    headers: dict[str, str]
    ids: Iterator[int]
    modern: bool = True


def list_tools(url: str, headers: dict[str, str] | None = None) -> tuple[str, ...]:
    """The names of the tools of the server at `url`. Raises ServerFailed."""
    names = (one.get("name") for one in describe_tools(url, headers))
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name))


def describe_tools(url: str, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The tools of the server at `url`, as it describes them, all pages in order.

    Raises:
        ServerFailed: it cannot be reached, or does not answer as MCP has it.
    """
    session = _Session(url, dict(headers or {}), count(1))
    try:
        first = _ask(session, "tools/list", {})
    except _NotUnderstood:
        _shake_hands(session)
        first = _ask(session, "tools/list", {})
    tools = _tools(first)
    cursor = first.get("nextCursor")
    for _ in range(MAX_PAGES):
        if cursor is None:
            return tools
        page = _ask(session, "tools/list", {"cursor": cursor})
        tools += _tools(page)
        cursor = page.get("nextCursor")
    raise ServerFailed(f"{url} has more than {MAX_PAGES} pages of tools")


class _NotUnderstood(Exception):
    """The server does not know this era; nobody is at fault."""


def _shake_hands(session: _Session) -> None:
    session.modern = False
    asked = {"protocolVersion": _LEGACY, "capabilities": {}, "clientInfo": _CLIENT}
    answer = _ask(session, "initialize", asked)
    session.headers["MCP-Protocol-Version"] = str(answer.get("protocolVersion") or _LEGACY)
    _post(session, {"jsonrpc": "2.0", "method": "notifications/initialized"})


def _ask(session: _Session, method: str, params: dict[str, Any]) -> dict[str, Any]:
    if session.modern:
        meta = {
            VERSION_KEY: _MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": _CLIENT,
        }
        params = {**params, "_meta": meta}
    number = next(session.ids)
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    answer = next((one for one in _post(session, message) if _answers(one, number)), None)
    if answer is not None and isinstance(answer.get("result"), dict):
        result: dict[str, Any] = answer["result"]
        return result
    if session.modern:
        raise _NotUnderstood
    error = answer.get("error") if answer is not None else None
    told = error.get("message") if isinstance(error, dict) else "there is no answer in what it sent"
    raise ServerFailed(f"{session.url} does not answer {method}: {told}")


def _answers(message: Any, number: int) -> bool:
    return isinstance(message, dict) and message.get("id") == number and "method" not in message


def _post(session: _Session, message: dict[str, Any]) -> list[Any]:
    """The messages in the answer."""
    url = urlsplit(session.url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ServerFailed(f"{session.url} is no URL of an MCP server; write http://HOST:PORT/PATH")
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        **session.headers,
    }
    if session.modern:
        headers |= {"MCP-Protocol-Version": _MODERN, "Mcp-Method": str(message["method"])}
    made = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = made(url.hostname, url.port, timeout=TIMEOUT_SECONDS)
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("POST", path, json.dumps(message).encode(), headers)
        response = connection.getresponse()
        return _messages(session, response)
    except (OSError, http.client.HTTPException, ssl.SSLError) as error:
        raise ServerFailed(f"{session.url} cannot be asked: {error}") from error
    finally:
        connection.close()


def _messages(session: _Session, response: http.client.HTTPResponse) -> list[Any]:
    if identifier := response.headers.get("Mcp-Session-Id"):
        session.headers["Mcp-Session-Id"] = identifier
    if response.status in (401, 403):
        raise ServerFailed(f"{session.url} refuses who asks ({response.status}); give --live-header")
    kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip()
    if kind == "text/event-stream" and response.status < 300:
        return _events(session, response)
    body = response.read(MAX_ANSWER_BYTES + 1)
    if len(body) > MAX_ANSWER_BYTES:
        raise ServerFailed(f"{session.url} sends more than {MAX_ANSWER_BYTES} bytes")
    if not body and response.status < 300:
        return []
    try:
        value = json.loads(body)
    except ValueError as error:
        if session.modern and response.status >= 400:
            raise _NotUnderstood from error
        raise ServerFailed(f"{session.url} answers {response.status} with no JSON") from error
    return value if isinstance(value, list) else [value]


def _events(session: _Session, response: http.client.HTTPResponse) -> list[Any]:
    """The messages of an event stream, up to the first that is an answer: such a stream may stay open after it."""
    reader, size, found = SseReader(), 0, []
    while chunk := response.read1(65536):
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise ServerFailed(f"{session.url} sends more than {MAX_ANSWER_BYTES} bytes")
        try:
            messages = [json.loads(one.data) for one in reader.feed(chunk) if one.data]
        except (SseRefused, ValueError) as error:
            raise ServerFailed(f"{session.url} sends a broken event stream") from error
        for message in messages:
            found.append(message)
            if isinstance(message, dict) and "id" in message and "method" not in message:
                return found
    return found


def _tools(result: dict[str, Any]) -> list[dict[str, Any]]:
    tools = result.get("tools")
    return [one for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []
