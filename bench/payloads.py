"""What is sent and answered: MCP messages of known size, as bytes on the wire.

Member order and header fields are those of the official SDKs' clients. Half of the tools are granted by the
policies of the bench, half are hidden.
"""

from __future__ import annotations

import json
from typing import Any

NOUNS = ("issue", "comment", "commit", "branch", "release")
GRANTED = tuple(f"{verb}_{noun}" for verb in ("get", "list") for noun in NOUNS)
HIDDEN = tuple(f"{verb}_{noun}" for verb in ("create", "delete") for noun in NOUNS)
CALLED = GRANTED[4]
REFUSED = HIDDEN[4]

CALL_PATH = "/mcp/call"
LAST_CALL_PATH = "/mcp/last-call"
"""The upstream closes the connection after its answer, so that the next one has to be dialled."""
LIST_PATH = "/mcp/list"
EVENTS_PATH = "/mcp/events"


def tools_call(arguments_bytes: int, tool: str = CALLED) -> bytes:
    """A tools/call whose `arguments` object takes exactly `arguments_bytes` of JSON."""
    arguments: dict[str, Any] = {"owner": "acme", "repository": "outrider", "number": 42, "text": ""}
    arguments["text"] = _prose(arguments_bytes - len(_json(arguments)))
    return _json(_request("tools/call", {"name": tool, "arguments": arguments}))


def tools_list() -> bytes:
    """A tools/list request."""
    return _json(_request("tools/list", {}))


def call_answer(size: int = 1024) -> bytes:
    """A tools/call result of exactly `size` bytes."""
    content = [{"type": "text", "text": ""}]
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "result": {"content": content, "isError": False}}
    content[0]["text"] = _prose(size - len(_json(answer)))
    return _json(answer)


def list_answer() -> bytes:
    """A tools/list result with every tool, granted and hidden in turn."""
    tools = [_tool(name) for pair in zip(GRANTED, HIDDEN, strict=True) for name in pair]
    return _json({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}})


def http_request(target: str, host: str, body: bytes) -> bytes:
    """A whole POST as an SDK's HTTP client writes it; `target` is origin-form or absolute-form."""
    head = (
        f"POST {target} HTTP/1.1\r\n"
        f"Host: {host}\r\n"
        "Accept: application/json, text/event-stream\r\n"
        "Accept-Encoding: identity\r\n"
        "Connection: keep-alive\r\n"
        "User-Agent: python-httpx/0.28.1\r\n"
        "Content-Type: application/json\r\n"
        "Mcp-Session-Id: 6f0d3f1f4d1a4f0f9a5c2b8f6f6a7f10\r\n"
        "MCP-Protocol-Version: 2025-11-25\r\n"
        f"Content-Length: {len(body)}\r\n"
        "\r\n"
    )
    return head.encode("ascii") + body


def _request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"method": method, "params": params, "jsonrpc": "2.0", "id": 1}


def _tool(name: str) -> dict[str, Any]:
    verb, noun = name.split("_")
    properties = {
        "owner": {"type": "string", "description": "Owner of the repository"},
        "repository": {"type": "string", "description": "Name of the repository"},
        "number": {"type": "integer", "description": f"Number of the {noun}"},
    }
    schema = {"type": "object", "properties": properties, "required": ["owner", "repository"]}
    return {"name": name, "description": f"{verb.title()} a {noun} of a repository", "inputSchema": schema}


def _prose(size: int) -> str:
    words = "the quick brown fox jumps over the lazy dog and writes down what it saw "
    return (words * (size // len(words) + 1))[:size]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
