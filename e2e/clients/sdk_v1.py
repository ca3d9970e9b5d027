"""The SDK's 1.x client on demand: one JSON line {"key", "url", "calls"} in, one line of what it got out.

It lists the tools and then makes the calls, all on one session. One process serves all the lines, several at
once: starting an interpreter with the SDK costs more than a hundred lists, and a client that waits for an answer
which it cannot read must not keep the others waiting.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamablehttp_client

from e2e.clients.lines import SECONDS, serve


async def play(asked: dict[str, Any], found: dict[str, Any]) -> None:
    async with (
        streamablehttp_client(asked["url"]) as (read, write, _),
        ClientSession(read, write) as session,
        asyncio.timeout(SECONDS),
    ):
        await session.initialize()
        found["tools"] = [tool.name for tool in (await session.list_tools()).tools]
        for name, arguments in asked["calls"]:
            found["calls"].append(await _call(session, name, arguments))


async def _call(session: ClientSession, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        result = await session.call_tool(name, arguments)
    except McpError as error:
        return {"code": error.error.code, "message": error.error.message}
    return {"text": getattr(result.content[0], "text", ""), "isError": bool(result.isError)}


if __name__ == "__main__":
    serve(play)
