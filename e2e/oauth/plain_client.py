"""A client of the SDK that knows nothing of OAuth: it lists the tools and calls each.

`python -m e2e.oauth.plain_client URL`; what it reads from stdin is sent along as Authorization, as by an agent.
"""

from __future__ import annotations

import asyncio
import os
import sys
import warnings

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning

from e2e.clients.conformance_client import MODERN, every_tool

SECONDS = 30
REVISION = "MCP_CONFORMANCE_PROTOCOL_VERSION"


async def play(url: str, revision: str | None, authorization: str) -> None:
    mode = "auto" if revision == MODERN else "legacy"
    headers = {"Authorization": authorization} if authorization else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(SECONDS)) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        asyncio.timeout(SECONDS),
    ):
        await every_tool(client, {})


if __name__ == "__main__":
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    asyncio.run(play(sys.argv[-1], os.environ.get(REVISION), sys.stdin.read()))
