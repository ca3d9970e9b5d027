"""`python -m cli.demo.helpdesk`: an agent that works for users, with nothing of Outrider in it.

It does what one that calls servers for its users has to do without a sidecar too: it sends the Authorization that
a request came with on to the MCP server, and a token of its own, from its environment, to the service that wants
one. Each request is told in a line with what it saw.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from typing import Any

import httpx2
from aiohttp import web
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from cli.demo.cast import MODERN
from cli.demo.visitor import first_failure

SECONDS = 10.0
VARIABLE = "CODE_TOKEN"


async def read_note(url: str, authorization: str, name: str) -> dict[str, Any]:
    """Read one note at the MCP server `url` on behalf of who sent `authorization`: `text`, or `error`."""
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx2.AsyncClient(headers={"Authorization": authorization}) as http,
            Client(streamable_http_client(url, http_client=http), mode=MODERN) as client,
        ):
            result = await client.call_tool("read_note", {"name": name})
            return {"text": "".join(getattr(block, "text", "") for block in result.content)}
    except* MCPError as group:
        error = str(first_failure(group))
    except* (httpx2.HTTPError, TimeoutError) as group:
        error = repr(first_failure(group))
    return {"error": error}


async def push(url: str) -> dict[str, Any]:
    """Send something to `url` with the token from the environment: `status` and `text` of the answer."""
    headers = {"Authorization": f"Bearer {os.environ.get(VARIABLE, '')}"}
    try:
        async with asyncio.timeout(SECONDS), httpx2.AsyncClient() as client:
            answer = await client.post(url, headers=headers, json={"fix": "queue"})
    except (httpx2.HTTPError, TimeoutError) as error:
        return {"status": 0, "text": repr(error)}
    return {"status": answer.status_code, "text": answer.text}


def application(url: str) -> web.Application:
    """Answers POST /read (a note's name, or one by another `authorization`) and POST /push (a URL)."""

    async def read(request: web.Request) -> web.Response:
        asked = await request.json()
        brought = _told(request)
        return web.json_response(await read_note(url, asked.get("authorization", brought), asked["name"]))

    async def pushing(request: web.Request) -> web.Response:
        _told(request)
        return web.json_response(await push((await request.json())["url"]))

    made = web.Application()
    made.router.add_post("/read", read)
    made.router.add_post("/push", pushing)
    return made


def _told(request: web.Request) -> str:
    authorization = request.headers.get("Authorization", "")
    _tell("asked", path=request.path, authorization=authorization)
    return authorization


def _tell(event: str, **told: object) -> None:
    print(json.dumps({"event": event, **told}), flush=True)


async def _serve(port: int, url: str) -> None:
    runner = web.AppRunner(application(url), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    _tell("ready", variable=os.environ.get(VARIABLE, ""))
    await asyncio.Event().wait()


def main() -> None:
    """Listen on the loopback port that is asked for, say so in one line, serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--notes", required=True, help="the URL of the MCP server")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.notes))


if __name__ == "__main__":
    main()
