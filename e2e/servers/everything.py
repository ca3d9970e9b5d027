"""A server of both protocol eras that has something for nearly every scenario of the MCP conformance suite.

It stands on the SDK's low-level `Server`: each handler is given here, so what is advertised is what is served.
Run as `python -m e2e.servers.everything`; it prints its port as a JSON line (see serve.py).
"""

from __future__ import annotations

import argparse
import itertools
import re
import warnings
from typing import Any

import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

from e2e.servers import everything_rounds, everything_tools
from e2e.servers.everything_tools import PNG, Context, embedded, image, text
from e2e.servers.serve import Executed, serve

MODERN = "2026-07-28"
RETRY_MILLISECONDS = 200
LEGACY_RESOURCE_NOT_FOUND = -32002
TEMPLATE = re.compile(r"test://template/([^/]+)/data")


class MemoryEvents(EventStore):
    """Keeps every event in order, so that a client that comes back with Last-Event-ID gets the rest."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._events: dict[str, tuple[str, Any]] = {}

    async def store_event(self, stream_id: str, message: Any) -> str:
        event_id = str(next(self._numbers))
        self._events[event_id] = (stream_id, message)
        return event_id

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        known = self._events.get(last_event_id)
        if known is None:
            return None
        stream_id = known[0]
        for event_id, (owner, message) in list(self._events.items()):
            if owner == stream_id and int(event_id) > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, event_id))
        return stream_id


RESOURCES = [
    types.Resource(uri="test://static-text", name="static-text", description="Text", mime_type="text/plain"),
    types.Resource(
        uri="test://static-binary", name="static-binary", description="Pixel", mime_type="image/png"
    ),
    types.Resource(
        uri="test://watched-resource", name="watched", description="Watched", mime_type="text/plain"
    ),
]
TEMPLATES = [
    types.ResourceTemplate(
        uri_template="test://template/{id}/data",
        name="template",
        description="Data by id",
        mime_type="application/json",
    )
]


def _argument(name: str) -> types.PromptArgument:
    return types.PromptArgument(name=name, description=f"The argument {name}", required=True)


PROMPTS = [
    types.Prompt(name="test_simple_prompt", description="No arguments"),
    types.Prompt(
        name="test_prompt_with_arguments",
        description="Two arguments",
        arguments=[_argument("arg1"), _argument("arg2")],
    ),
    types.Prompt(
        name="test_prompt_with_embedded_resource",
        description="A resource inside",
        arguments=[_argument("resourceUri")],
    ),
    types.Prompt(name="test_prompt_with_image", description="An image inside"),
    types.Prompt(name="test_input_required_result_prompt", description="Needs input first"),
]


def _spoken(*contents: Any) -> types.GetPromptResult:
    return types.GetPromptResult(
        messages=[types.PromptMessage(role="user", content=content) for content in contents]
    )


async def list_resources(ctx: Context, params: Any) -> types.ListResourcesResult:
    return types.ListResourcesResult(resources=RESOURCES)


async def list_templates(ctx: Context, params: Any) -> types.ListResourceTemplatesResult:
    return types.ListResourceTemplatesResult(resource_templates=TEMPLATES)


async def read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    uri = params.uri
    if uri == "test://static-binary":
        return types.ReadResourceResult(
            contents=[types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)]
        )
    kind, body = "text/plain", "This is the content of the static text resource."
    if found := TEMPLATE.fullmatch(uri):
        name = found.group(1)
        kind, body = "application/json", f'{{"id":"{name}","templateTest":true,"data":"Data for ID: {name}"}}'
    elif uri not in {str(resource.uri) for resource in RESOURCES}:
        code = types.INVALID_PARAMS if ctx.protocol_version == MODERN else LEGACY_RESOURCE_NOT_FOUND
        raise MCPError(code, "Resource not found", {"uri": uri})
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=kind, text=body)])


async def list_prompts(ctx: Context, params: Any) -> types.ListPromptsResult:
    return types.ListPromptsResult(prompts=PROMPTS)


async def get_prompt(
    ctx: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult | types.InputRequiredResult:
    given = params.arguments or {}
    if params.name == "test_simple_prompt":
        return _spoken(text("This is a simple prompt for testing."))
    if params.name == "test_prompt_with_arguments":
        return _spoken(text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"))
    if params.name == "test_prompt_with_embedded_resource":
        body = embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
        return _spoken(body, text("Please process the embedded resource above."))
    if params.name == "test_prompt_with_image":
        return _spoken(image(), text("Please analyze the image above."))
    if params.name == "test_input_required_result_prompt":
        return everything_rounds.prompt_with_input(params)
    raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")


async def complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    known = ("paris", "park", "party", "test")
    values = [word for word in known if word.startswith(params.argument.value)]
    return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))


async def _accept(ctx: Context, params: Any) -> types.EmptyResult:
    return types.EmptyResult()


def build(executed: Executed) -> Server[Any]:
    bus = InMemorySubscriptionBus()
    offered = {
        tool.definition.name: tool for tool in [*everything_tools.tools(bus), *everything_rounds.tools()]
    }

    async def list_tools(ctx: Context, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[tool.definition for tool in offered.values()])

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> Any:
        tool = offered.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        executed(params.name)
        return await tool.run(ctx, params)

    fresh = CacheHint(ttl_ms=60_000, scope="public")
    methods = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read")
    server: Server[Any] = Server(
        "everything",
        version="1.0.0",
        instructions="Something for every scenario.",
        cache_hints={**dict.fromkeys(methods, fresh), "server/discover": fresh},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=_accept,
        on_unsubscribe_resource=_accept,
        on_subscriptions_listen=ListenHandler(bus),
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_set_logging_level=_accept,
    )
    server.middleware.append(
        RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="everything")
    )
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executed", help="file that gets the name of each tool that ran")
    chosen = parser.parse_args()
    # Logging and sampling are deprecated, and it is the point of this server to have them.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    server = build(Executed(chosen.executed))
    serve(server.streamable_http_app(event_store=MemoryEvents(), retry_interval=RETRY_MILLISECONDS))


if __name__ == "__main__":
    main()
