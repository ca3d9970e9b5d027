"""Texts as the messages that a sidecar would see them in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mesh.protocol.mcp.methods import TOOLS_CALL
from mesh.protocol.mcp.places import Root, places_of_answer

Framing = Callable[[str], tuple[Root, ...]]
"""The roots of a message that holds a text."""


def as_result(text: str) -> tuple[Root, ...]:
    """The text block of a tool's result."""
    return _answer({"content": [{"type": "text", "text": text}]}, TOOLS_CALL)


def as_structured(text: str) -> tuple[Root, ...]:
    """JSON as the structured content of a tool's result; what is not JSON as its text."""
    value = _decoded(text)
    if value is None:
        return as_result(text)
    return _answer({"content": [], "structuredContent": value}, TOOLS_CALL)


def as_envelope(text: str) -> tuple[Root, ...]:
    """JSON that is the whole of a tool's result, with its `content`."""
    value = _decoded(text)
    return _answer(value, TOOLS_CALL) if isinstance(value, dict) else as_result(text)


def as_opened(text: str) -> tuple[Root, ...]:
    """The JSON in the first text block of such a result, as structured content."""
    value = _decoded(text)
    match value:
        case {"content": [{"text": str(inner)}, *_]}:
            return as_structured(inner)
    return as_structured(text)


def as_description(text: str) -> tuple[Root, ...]:
    """What a server says of one of its tools."""
    tool = {"name": "tool", "description": text, "inputSchema": {"type": "object"}}
    return _answer({"tools": [tool]}, "tools/list")


def _decoded(text: str) -> dict[str, Any] | list[Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _answer(result: dict[str, Any], asked: str) -> tuple[Root, ...]:
    return places_of_answer({"jsonrpc": "2.0", "id": 1, "result": result}, asked)
