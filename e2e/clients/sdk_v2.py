"""The SDK's 2.x client on demand, as sdk_v1.py is the other; `mode` says which era it asks for."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp import Client
from mcp.shared.exceptions import MCPError

from e2e.clients.lines import SECONDS, serve


async def play(asked: dict[str, Any], found: dict[str, Any]) -> None:
    async with asyncio.timeout(SECONDS), Client(asked["url"], mode=asked["mode"]) as client:
        found["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        for name, arguments in asked["calls"]:
            found["calls"].append(await _call(client, name, arguments))


async def _call(client: Client, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        result = await client.call_tool(name, arguments)
    except MCPError as error:
        return {"code": error.code, "message": error.message}
    return {"text": getattr(result.content[0], "text", ""), "isError": bool(result.is_error)}


if __name__ == "__main__":
    serve(play)
