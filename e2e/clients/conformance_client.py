"""A client of the 2.x SDK that takes part in every client scenario of the conformance suite.

The suite appends its URL to the command and says in the environment which scenario and revision it plays. Nearly
all scenarios are satisfied by a client that lists what there is, calls each tool with arguments that fit its
schema, and answers what the server asks; the few that want something particular are in `PARTICULAR`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning

from e2e.clients.oauth import authorization

MODERN = "2026-07-28"
SECONDS = 30
Play = Callable[[Client, dict[str, Any]], Awaitable[None]]


def fitting(schema: dict[str, Any]) -> Any:
    """A value that a simple JSON schema accepts: its default, its first choice, or something of its type."""
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: fitting(properties[name]) for name in schema.get("required", [])}
    plain: dict[str, Any] = {"integer": 2, "number": 2.5, "boolean": True, "array": [], "null": None}
    return plain.get(kind, "value")


async def answer_form(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    """Accepts every form: each field gets its default, or something that fits."""
    schema = getattr(params, "requested_schema", None) or {}
    content = {name: fitting(field) for name, field in schema.get("properties", {}).items()}
    return types.ElicitResult(action="accept", content=content)


async def every_tool(client: Client, context: dict[str, Any]) -> None:
    listed = await client.list_tools()
    for tool in listed.tools:
        await client.call_tool(tool.name, fitting(tool.input_schema))


async def everything_there_is(client: Client, context: dict[str, Any]) -> None:
    await every_tool(client, context)
    for resource in (await client.list_resources()).resources:
        await client.read_resource(str(resource.uri))
    for prompt in (await client.list_prompts()).prompts:
        await client.get_prompt(prompt.name)


async def the_calls_it_names(client: Client, context: dict[str, Any]) -> None:
    """Scenarios whose context holds the exact calls, including arguments that a header cannot hold as they are."""
    await client.list_tools()
    for call in context.get("toolCalls", []):
        await client.call_tool(call["name"], call["arguments"])


async def echo_the_schema(client: Client, context: dict[str, Any]) -> None:
    """Sends the first tool's schema back as the SDK handed it over, to show that no keyword was lost."""
    first, echo = (await client.list_tools()).tools[:2]
    await client.call_tool(echo.name, {"schema": first.input_schema})


async def only_list(client: Client, context: dict[str, Any]) -> None:
    await client.list_tools()


async def twice(client: Client, context: dict[str, Any]) -> None:
    """Comes back after the first success, when the server has moved to another authorization server."""
    await every_tool(client, context)
    await every_tool(client, context)


PARTICULAR: dict[str, Play] = {
    "http-standard-headers": everything_there_is,
    "http-custom-headers": the_calls_it_names,
    "json-schema-2020-12-preservation": echo_the_schema,
    "json-schema-ref-no-deref": only_list,
    "auth/authorization-server-migration": twice,
}


async def play(url: str, scenario: str, revision: str, context: dict[str, Any]) -> None:
    auth = authorization(url, scenario, context) if scenario.startswith("auth/") else None
    async with (
        httpx2.AsyncClient(auth=auth, timeout=httpx2.Timeout(SECONDS)) as http,
        Client(
            streamable_http_client(url, http_client=http),
            mode="auto" if revision == MODERN else "legacy",
            elicitation_callback=answer_form,
        ) as client,
        asyncio.timeout(SECONDS),
    ):
        await PARTICULAR.get(scenario, every_tool)(client, context)


def main() -> None:
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    asyncio.run(
        play(
            sys.argv[-1],
            os.environ["MCP_CONFORMANCE_SCENARIO"],
            os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "2025-11-25"),
            json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")),
        )
    )


if __name__ == "__main__":
    main()
