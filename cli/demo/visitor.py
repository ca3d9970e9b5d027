"""`python -m cli.demo.visitor`: an MCP client of the SDK, with nothing of Outrider in it.

Each line on standard input is a visit: a URL, the era to speak, the tools to call, and the environment of the
workload that makes it. Each line on standard output says what came of it. Whether there is a proxy in between, and
whom to trust, is for the SDK's HTTP client to find out from HTTP_PROXY, HTTPS_PROXY and SSL_CERT_FILE when a
session begins, as it does for everybody.

Besides visits there are sessions that work, or watch, until the next line comes, and looks at the certificate of a
server.

One process makes the visits of every workload, because importing the SDK takes longer than all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.types import CallToolResult, TextContent

VISIT_SECONDS = 10.0
CALLS_TOLD = 5
WATCH_SECONDS = 0.02
"""Between two rounds of a session that watches: it must not keep the machine from what it watches for."""


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


async def work(url: str, mode: str, call: tuple[str, dict[str, str]], number: int) -> dict[str, Any]:
    """Open one session, make `call` again and again until something can be read from standard input.

    `answers` counts each text, and each error. Every few calls a line says how many there were.
    """
    told: dict[str, Any] = {"version": "", "answers": Counter(), "failed": None}
    enough = _line_comes()
    try:
        async with Client(url, mode=mode) as client:
            told["version"] = client.protocol_version
            while not enough.is_set():
                outcome = await _call(client, *call)
                told["answers"][outcome.get("text", outcome.get("error"))] += 1
                if (calls := told["answers"].total()) % CALLS_TOLD == 0:
                    tell("working", number, {"calls": calls})
    except* MCPError as group:
        told["failed"] = str(first_failure(group))
    except* (httpx2.HTTPError, TimeoutError) as group:
        told["failed"] = repr(first_failure(group))
    return {**told, "calls": told["answers"].total()}


async def watch(url: str, mode: str, call: tuple[str, dict[str, str]], number: int) -> dict[str, Any]:
    """Open one session, list the tools and make `call`, round after round, until standard input can be read.

    After each round a line says what was seen.
    """
    told: dict[str, Any] = {"version": "", "rounds": 0, "failed": None}
    enough = _line_comes()
    try:
        async with Client(url, mode=mode) as client:
            told["version"] = client.protocol_version
            while not enough.is_set():
                tools = [tool.name for tool in (await client.list_tools()).tools]
                outcome = await _call(client, *call)
                told["rounds"] += 1
                tell("watching", number, {"rounds": told["rounds"], "tools": tools, "outcome": outcome})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(enough.wait(), WATCH_SECONDS)
    except* MCPError as group:
        told["failed"] = str(first_failure(group))
    except* (httpx2.HTTPError, TimeoutError) as group:
        told["failed"] = repr(first_failure(group))
    return told


def _line_comes() -> asyncio.Event:
    """Set once something can be read from standard input."""
    event = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, event.set)
    return event


async def look(url: str) -> dict[str, Any]:
    """Ask for `url` once, and tell by which certificate (PEM) the server was believed to be who it is."""
    try:
        async with (
            asyncio.timeout(VISIT_SECONDS),
            httpx2.AsyncClient() as client,
            client.stream("GET", url) as answer,
        ):
            der = answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert(True)
    except (httpx2.HTTPError, TimeoutError) as error:
        return {"certificate": None, "failed": repr(error)}
    return {"certificate": ssl.DER_cert_to_PEM_cert(der), "failed": None}


async def _call(client: Client, name: str, arguments: dict[str, str]) -> dict[str, Any]:
    try:
        result = await client.call_tool(name, arguments)
    except MCPError as error:
        return {"tool": name, "error": str(error), "code": error.code, "data": error.data}
    return {"tool": name, "text": _text(result), "data": result.structured_content}


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


def tell(event: str, number: int, told: Mapping[str, Any]) -> None:
    """Write one line."""
    print(json.dumps({"event": event, "number": number, **told}), flush=True)


_UNTIL_ENOUGH = {"work": work, "watch": watch}


def answer(asked: Mapping[str, Any]) -> None:
    """Do what one line asks, and tell what came of it."""
    what, number, url = asked["what"], asked["number"], asked["url"]
    with environment(asked["variables"]):
        if what == "visit":
            tell(what, number, asyncio.run(visit(url, asked["mode"], asked["calls"])))
        elif what in _UNTIL_ENOUGH:
            session = _UNTIL_ENOUGH[what](url, asked["mode"], asked["call"], number)
            tell(what, number, asyncio.run(session))
            sys.stdin.readline()  # the one that says that it is enough
        else:
            tell(what, number, asyncio.run(look(url)))


def main() -> None:
    """Answer each line until there are no more."""
    print(json.dumps({"event": "ready"}), flush=True)
    while line := sys.stdin.readline():
        answer(json.loads(line))


if __name__ == "__main__":
    main()
