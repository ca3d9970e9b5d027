"""A real MCP client that stays: one session of the SDK, which looks again and again and says what has changed.

Runs in a pod, with the interpreter that has the SDK. A line of JSON for each change: when (seconds of the wall
clock), which tools are listed, and which of them that it was told to call answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from mcp import Client
from mcp.shared.exceptions import MCPError

PAUSE = 0.02


async def look(client: Client, tools: list[str]) -> dict[str, Any]:
    """What is listed and what answers, now."""
    try:
        listed = sorted(tool.name for tool in (await client.list_tools()).tools)
    except MCPError:
        listed = []
    answered = [tool for tool in tools if await answers(client, tool)]
    return {"listed": listed, "answered": answered}


async def answers(client: Client, tool: str) -> bool:
    try:
        return not (await client.call_tool(tool, {"words": "drawer"})).is_error
    except MCPError:
        return False


async def stay(url: str, tools: list[str]) -> None:
    """Until killed. Whatever ends the session ends the program."""
    seen: dict[str, Any] = {}
    async with Client(url, mode="auto") as client:
        while True:
            found = await look(client, tools)
            if found != seen:
                print(json.dumps({"at": time.time(), **found}), flush=True)
                seen = found
            await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    asyncio.run(stay(sys.argv[1], sys.argv[2:]))
