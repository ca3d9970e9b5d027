"""An agent: an MCP server whose one tool calls the next MCP server through HTTP_PROXY, as the SDK does it.

`python -m e2e.oauth.agent --name worker --next URL --tool whoami --forward authorization`

It hands back what it was given in Authorization, as an agent would that somebody took over, so a test sees it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError

from e2e.servers.serve import serve

SECONDS = 30
AskNext = Callable[[dict[str, str]], Awaitable[Any]]
"""Asks the next one, with these header fields."""


class Forward(StrEnum):
    """What of the request that it works for an agent sends on."""

    AUTHORIZATION = "authorization"
    TRACE = "traceparent"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Next:
    """Which tool is called where."""

    url: str
    tool: str
    arguments: dict[str, Any]


def forwarded(forward: Forward, headers: Mapping[str, str]) -> dict[str, str]:
    """The fields to send on, of those that came."""
    return {name: headers[name] for name in (forward.value,) if name in headers}


async def call(to: Next, headers: dict[str, str]) -> Any:
    """Call the tool; its text, read as JSON where it is JSON, or what went wrong."""
    async with (
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(SECONDS)) as http,
        Client(streamable_http_client(to.url, http_client=http)) as client,
        asyncio.timeout(SECONDS),
    ):
        result = await client.call_tool(to.tool, to.arguments)
    text = getattr(result.content[0], "text", "") if result.content else ""
    try:
        return json.loads(text)
    except ValueError:
        return {"text": text, "is_error": bool(result.is_error)}


async def alone(work: Callable[[], Awaitable[Any]]) -> Any:
    """Call in a context of its own, so that the SDK does not go on with the trace by itself; its answer, or what
    went wrong as an answer."""

    async def run() -> Any:
        return await work()

    try:
        return await asyncio.create_task(run(), context=contextvars.Context())
    except* MCPError as errors:
        first = _first(errors)
        failed = {"error": {"code": first.code, "message": first.message, "data": first.data}}
    except* OSError as errors:
        failed = {"error": {"message": str(_first(errors))}}
    except* httpx2.HTTPError as errors:
        failed = {"error": {"message": str(_first(errors))}}
    return failed


def _first(errors: BaseException) -> Any:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors


def build(name: str, forward: Forward, ask_next: AskNext) -> MCPServer:
    """The agent as an MCP server."""
    server = MCPServer(name)

    @server.tool(description="Asks the next one in the chain")
    async def ask(ctx: Context) -> str:  # type: ignore[type-arg]
        headers = ctx.headers or {}
        answer = await alone(partial(ask_next, forwarded(forward, headers)))
        return json.dumps({"agent": name, "received": headers.get("authorization"), "answer": answer})

    return server


def options_of_agents(description: str | None) -> argparse.ArgumentParser:
    """What every agent of these tests is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--name", required=True)
    parser.add_argument("--next", required=True)
    parser.add_argument("--tool", default="ask")
    parser.add_argument("--arguments", default="{}")
    parser.add_argument("--forward", type=Forward, default=Forward.AUTHORIZATION)
    parser.add_argument("--port", type=int, default=0)
    return parser


def run(app: Any, port: int) -> None:
    """Say which process this is, and serve."""
    sys.stdout.write(json.dumps({"pid": os.getpid()}) + "\n")
    serve(app, ("127.0.0.1", port))


def mcp_app(server: MCPServer) -> Any:
    """Its names are those of the mesh, which the SDK takes for rebinding."""
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return server.streamable_http_app(transport_security=security)


def main() -> None:
    options = options_of_agents(__doc__).parse_args()
    to = Next(options.next, options.tool, json.loads(options.arguments))
    run(mcp_app(build(options.name, options.forward, partial(call, to))), options.port)


if __name__ == "__main__":
    main()
