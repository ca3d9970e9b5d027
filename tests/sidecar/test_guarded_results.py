"""What a real client makes of structured content that was masked on the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.support.guarded_checks import between
from tests.support.guarded_messages import MAIL
from tests.support.guarded_ways import ACCEPTED, Server
from tests.support.loopback import json_answer, read_request

PHONE = "+1 415 555 2671"
CARD = 4111111111111111
OUTPUT = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "format": "email"},
        "note": {"type": "string", "maxLength": 40},
        "corp": {"type": "string", "pattern": "^[^@ ]+@[^@ ]+$"},
        "ours": {"type": "string", "pattern": "^[a-z.]+@example\\.com$"},
        "card": {"type": "integer", "minimum": 1000000000000000, "maximum": 9999999999999999},
        "kind": {"enum": ["a", "b", "boss@example.com"]},
    },
    "additionalProperties": False,
}


class Tools(Server):
    """A server of both eras whose one tool gives `content`."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__()
        self.content = content

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            if not body:
                writer.write(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n")
                continue
            message = json.loads(body)
            self.got.append((head, message))
            found = self._result(message)
            writer.write(
                ACCEPTED
                if "id" not in message
                else json_answer({"jsonrpc": "2.0", "id": message["id"], "result": found})
            )

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        name = {"name": "s", "version": "1"}
        kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        match message["method"]:
            case "initialize":
                return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": name}
            case "server/discover":
                return {
                    **kept,
                    "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {}},
                    "serverInfo": name,
                }
            case "tools/list":
                tool = {"name": "search", "inputSchema": {"type": "object"}, "outputSchema": OUTPUT}
                return {**kept, "tools": [tool]}
        text = json.dumps(self.content)
        return {
            "resultType": "complete",
            "content": [{"type": "text", "text": text}],
            "structuredContent": self.content,
        }


@contextlib.asynccontextmanager
async def calling(guardrails: str, mode: str, content: dict[str, Any]) -> Any:
    """A real client, which has read the list of tools."""
    server = Tools(content)
    async with (
        between(guardrails, server) as (_, port, _),
        httpx2.AsyncClient(proxy=f"http://127.0.0.1:{port}") as http,
        Client(
            streamable_http_client("http://github.tools.svc:8080/mcp", http_client=http),
            mode=mode,  # type: ignore[arg-type]
        ) as client,
    ):
        await client.list_tools()
        yield client, server


MODES = ["legacy", "2026-07-28"]
CONTENTS: list[dict[str, Any]] = [
    {"to": MAIL},
    {"to": MAIL, "note": f"ask {MAIL}"},
    {"corp": "jane.doe@example.com"},
    {"ours": MAIL},
    {"card": CARD},
    {"to": MAIL, "card": CARD, "corp": "ann.lee@example.com", "kind": "a"},
]


@pytest.mark.parametrize("content", CONTENTS, ids=["format", "length", "pattern", "suffix", "number", "all"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_client_accepts_what_was_masked_in_structured_content(
    mode: str, content: dict[str, Any]
) -> None:
    async with calling("{pii: mask}", mode, content) as (client, _):
        got = await client.call_tool("search", {})
    shown = got.structured_content
    assert shown.keys() == content.keys()
    assert json.loads(got.content[0].text) == shown
    told = json.dumps(shown)
    assert MAIL not in told
    assert str(CARD) not in told
    assert "ann.lee" not in told
    assert "boss" not in told


@pytest.mark.parametrize("mode", MODES)
async def test_what_nothing_else_can_stand_for_is_an_error(mode: str) -> None:
    async with calling("{pii: mask}", mode, {"kind": "boss@example.com"}) as (client, _):
        with pytest.raises(MCPError) as caught:
            await client.call_tool("search", {})
    assert caught.value.error.data == {"reason": "guard_unmaskable"}


@pytest.mark.parametrize("mode", MODES)
async def test_what_a_client_was_shown_in_place_of_a_value_is_the_value_for_the_server(mode: str) -> None:
    async with calling("{pii: mask, reversible: true}", mode, {"to": MAIL, "card": CARD}) as (client, server):
        shown = (await client.call_tool("search", {})).structured_content
        await client.call_tool(
            "search", {"to": shown["to"], "card": shown["card"], "all": f"to {shown['to']}"}
        )
        calls = [value for _, value in server.got if value.get("method") == "tools/call"]
    assert calls[-1]["params"]["arguments"] == {"to": MAIL, "card": CARD, "all": f"to {MAIL}"}
