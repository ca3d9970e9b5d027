"""Every kind of tool that the conformance suite asks a server for, except those that need several rounds.

A tool is its definition and its handler, side by side. The names and the texts are fixed by the suite's
scenarios (`conformance list --server`).
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import PromptsListChanged, SubscriptionBus, ToolsListChanged
from mcp.shared.exceptions import MCPError

Context = ServerRequestContext[Any, Any]
Params = types.CallToolRequestParams
Outcome = types.CallToolResult | types.InputRequiredResult
Handler = Callable[[Context, Params], Awaitable[Outcome]]

STEP_SECONDS = 0.05
NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class ServerTool:
    definition: types.Tool
    run: Handler


def _png() -> str:
    """One red pixel, base64."""

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\0\0")
    parts = block(b"IHDR", header) + block(b"IDAT", pixel) + block(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def _wav() -> str:
    """One silent sample, base64."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    data = struct.pack("<4sI", b"data", 1) + b"\x80\0"
    return base64.b64encode(
        struct.pack("<4sI4s", b"RIFF", 4 + len(fmt) + len(data), b"WAVE") + fmt + data
    ).decode()


PNG = _png()
WAV = _wav()


def text(words: str) -> types.TextContent:
    return types.TextContent(text=words)


def said(words: str) -> types.CallToolResult:
    return types.CallToolResult(content=[text(words)])


def image() -> types.ImageContent:
    return types.ImageContent(data=PNG, mime_type="image/png")


def embedded(uri: str, mime_type: str, body: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(
        resource=types.TextResourceContents(uri=uri, mime_type=mime_type, text=body)
    )


def _always(result: types.CallToolResult) -> Handler:
    async def run(ctx: Context, params: Params) -> Outcome:
        return result

    return run


async def _with_logging(ctx: Context, params: Params) -> Outcome:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", words, "everything", related_request_id=ctx.request_id)
        await anyio.sleep(STEP_SECONDS)
    return said("Logged three messages.")


async def _with_progress(ctx: Context, params: Params) -> Outcome:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100)
        await anyio.sleep(STEP_SECONDS)
    return said("Reported progress three times.")


async def _sampling(ctx: Context, params: Params) -> Outcome:
    words = str((params.arguments or {})["prompt"])
    message = types.SamplingMessage(role="user", content=text(words))
    answer = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return said(f"LLM response: {getattr(answer.content, 'text', '')}")


def _form(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def _elicitation(prefix: str, schema: dict[str, Any], question: str | None = None) -> Handler:
    """A tool that asks the user one form and tells what came back; the question may come from its argument."""

    async def run(ctx: Context, params: Params) -> Outcome:
        message = question or str((params.arguments or {})["message"])
        answer = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
        return said(f"{prefix}: action={answer.action}, content={answer.content}")

    return run


_USER = _form({"username": {"type": "string"}, "email": {"type": "string"}}, ["username", "email"])
_DEFAULTS = _form(
    {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
)


def _titled(prefix: str, *titles: str) -> list[dict[str, str]]:
    return [{"const": f"{prefix}{number}", "title": title} for number, title in enumerate(titles, 1)]


_OPTIONS = ["option1", "option2", "option3"]
_ENUMS = _form(
    {
        "untitledSingle": {"type": "string", "enum": _OPTIONS},
        "titledSingle": {
            "type": "string",
            "oneOf": _titled("value", "First Option", "Second Option", "Third Option"),
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
        "titledMulti": {
            "type": "array",
            "items": {"anyOf": _titled("value", "First Choice", "Second Choice", "Third Choice")},
        },
    }
)


async def _reconnection(ctx: Context, params: Params) -> Outcome:
    """Ends its own event stream half way; the client has to come back for the answer (SEP-1699)."""
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
    await anyio.sleep(2 * STEP_SECONDS)
    return said("Answered after the stream was closed.")


async def _missing_capability(ctx: Context, params: Params) -> Outcome:
    declared = ctx.session.client_capabilities
    if declared is None or declared.sampling is None:
        needs = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs sampling", needs)
    return said("The client can sample.")


async def _logging(ctx: Context, params: Params) -> Outcome:
    await ctx.session.send_log_message(
        "info", "A line of the log", "everything", related_request_id=ctx.request_id
    )
    return said("Logged one message.")


def _publishing(bus: SubscriptionBus, event: Any, words: str) -> Handler:
    async def run(ctx: Context, params: Params) -> Outcome:
        await bus.publish(event)
        return said(words)

    return run


_SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
_MIRRORED = _form(
    {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "priority": {"type": "integer", "x-mcp-header": "Priority"},
        "query": {"type": "string"},
    }
)


def define(name: str, description: str, run: Handler, schema: dict[str, Any] = NO_ARGUMENTS) -> ServerTool:
    return ServerTool(types.Tool(name=name, description=description, input_schema=schema), run)


def tools(bus: SubscriptionBus) -> list[ServerTool]:
    """The tools in the order in which they are listed, which never changes."""
    failure = types.CallToolResult(
        content=[text("This tool intentionally returns an error for testing")], is_error=True
    )
    note = embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    mixed = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    audio = types.AudioContent(data=WAV, mime_type="audio/wav")
    several = types.CallToolResult(content=[text("Multiple content types test:"), image(), mixed])
    one_string = _form({"prompt": {"type": "string"}}, ["prompt"])
    question = _form({"message": {"type": "string"}}, ["message"])
    return [
        define("test_simple_text", "Text", _always(said("This is a simple text response for testing."))),
        define("test_image_content", "An image", _always(types.CallToolResult(content=[image()]))),
        define("test_audio_content", "A sound", _always(types.CallToolResult(content=[audio]))),
        define("test_embedded_resource", "A resource", _always(types.CallToolResult(content=[note]))),
        define("test_multiple_content_types", "Three kinds of content", _always(several)),
        define("test_error_handling", "Always fails", _always(failure)),
        define("test_tool_with_logging", "Logs while it runs", _with_logging),
        define("test_tool_with_progress", "Reports progress", _with_progress),
        define("test_sampling", "Asks the client's model", _sampling, one_string),
        define("test_elicitation", "Asks the user", _elicitation("User response", _USER), question),
        define(
            "test_elicitation_sep1034_defaults",
            "Asks with defaults",
            _elicitation("Elicitation completed", _DEFAULTS, "Please check the defaults"),
        ),
        define(
            "test_elicitation_sep1330_enums",
            "Asks with choices",
            _elicitation("Elicitation completed", _ENUMS, "Please choose"),
        ),
        define("test_reconnection", "Closes its stream", _reconnection),
        define("json_schema_2020_12_tool", "A rich schema", _always(said("Valid.")), _SCHEMA_2020_12),
        define("test_mirrored_header", "Arguments in headers", _always(said("Mirrored.")), _MIRRORED),
        define("test_missing_capability", "Needs sampling", _missing_capability),
        define("test_logging_tool", "Logs when asked to", _logging),
        define(
            "test_trigger_tool_change",
            "Tools changed",
            _publishing(bus, ToolsListChanged(), "Tools changed."),
        ),
        define(
            "test_trigger_prompt_change",
            "Prompts changed",
            _publishing(bus, PromptsListChanged(), "Prompts changed."),
        ),
    ]
