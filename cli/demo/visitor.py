"""`python -m cli.demo.visitor`: an MCP client of the SDK, with nothing of Outrider in it.

Each line on standard input is a visit: a URL, the era to speak, the tools to call, and the environment of the
workload that makes it. Each line on standard output says what came of it. Whether there is a proxy in between is
for the SDK's HTTP client to find out from HTTP_PROXY when a session begins, as it does for everybody.

One process makes the visits of every workload, because importing the SDK takes longer than all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.types import CallToolResult, TextContent

VISIT_SECONDS = 10.0


async def visit(url: str, mode: str, calls: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
    """Open one session, look around, make `calls` in order, and tell everything that was seen.

    `failed` says what ended the session before its time; each of `outcomes` has `text`, or `error` and `code`.
    """
    told: dict[str, Any] = {"outcomes": [], "failed": None}
    try:
        async with asyncio.timeout(VISIT_SECONDS), Client(url, mode=mode) as client:
            told["version"] = client.protocol_version
            told["tools"] = [tool.name for tool in (await client.list_tools()).tools]
            told["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
            told["resources"] = [str(one.uri) for one in (await client.list_resources()).resources]
            for name, arguments in calls:
                told["outcomes"].append(await _call(client, name, arguments))
    except* MCPError as group:
        told["failed"] = str(first_failure(group))
    except* (httpx2.HTTPError, TimeoutError) as group:
        told["failed"] = repr(first_failure(group))
    return told


async def _call(client: Client, name: str, arguments: dict[str, str]) -> dict[str, Any]:
    try:
        result = await client.call_tool(name, arguments)
    except MCPError as error:
        return {"tool": name, "error": str(error), "code": error.code}
    return {"tool": name, "text": _text(result)}


def _text(result: CallToolResult) -> str:
    return "".join(block.text for block in result.content if isinstance(block, TextContent))


def first_failure(group: BaseException) -> BaseException:
    """The error itself: the SDK's task groups wrap it several times."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The process's environment with `variables`, while the context lasts."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


def main() -> None:
    """Answer each line until there are no more."""
    print(json.dumps({"event": "ready"}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        with environment(asked["variables"]):
            told = asyncio.run(visit(asked["url"], asked["mode"], asked["calls"]))
        print(json.dumps({"event": "visit", "number": asked["number"], **told}), flush=True)


if __name__ == "__main__":
    main()
