"""A file as what guardrails look at: messages of JSON-RPC by their places, other JSON by its leaves, or a text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mesh.policy.guardrails import Direction, Part
from mesh.protocol.mcp.methods import METHODS, TOOLS_CALL, Sender
from mesh.protocol.mcp.places import Root, places_of_answer, places_of_request
from mesh.protocol.strict_json import JsonRefused, parse

MOST_BYTES: Final = 64 << 20


class InputUnreadable(Exception):
    """A file is not there, too large or no text; whoever named it is at fault."""


@dataclass(frozen=True, slots=True)
class Given:
    """One thing to examine. `value` is what masking changes; `name` where it stands in the file, if in parts.

    `message`: it is one of JSON-RPC. `text`: it is neither, but a text, under the key `text`.
    """

    roots: tuple[Root, ...]
    value: dict[str, Any]
    direction: Direction
    tool: str | None = None
    size: int = 0
    name: str = ""
    message: bool = False
    text: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A whole file. `remarks` are sentences about how it was read."""

    given: tuple[Given, ...]
    remarks: tuple[str, ...] = ()


def read_source(path: str, part: Part) -> Source:
    """A file, or standard input for `-`. What is no message of JSON-RPC is looked at as `part`.

    Raises InputUnreadable.
    """
    data = _bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputUnreadable(
            f"{path}: is not UTF-8 text (byte {error.start}); decode it, or give the text that is in it"
        ) from error
    if not text.strip():
        raise InputUnreadable(f"{path}: is empty")
    return source_of(text, part)


def source_of(text: str, part: Part) -> Source:
    """The same of a text."""
    refused = ""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return Source(tuple(_json(parse(text.strip().encode()).value, part)))
        except JsonRefused as error:
            refused = error.detail
        lines = _json_lines(text)
        if lines:
            return Source(tuple(one for name, value in lines for one in _json(value, part, name)))
    remarks = (f"read as text, since it is no JSON: {refused}",) if refused else ()
    value = {"text": text}
    given = Given((Root(value, "text", part, ()),), value, _way(part), size=len(text.encode()), text=True)
    return Source((given,), remarks)


def _bytes(path: str) -> bytes:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputUnreadable(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise InputUnreadable(f"{path}: has more than {MOST_BYTES >> 20} MiB; split it")
    return data


def _json_lines(text: str) -> list[tuple[str, Any]]:
    """Name and value of each line, if every line that is not empty is JSON; else nothing."""
    values = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                values.append((f"line {number}", parse(line.strip().encode()).value))
            except JsonRefused:
                return []
    return values


def _json(value: Any, part: Part, name: str = "") -> Iterator[Given]:
    if isinstance(value, list) and value and all(map(_is_message, value)):
        for index, one in enumerate(value):
            yield _message(one, f"{name} [{index}]".strip())
    elif _is_message(value):
        yield _message(value, name)
    else:
        holder = {"$": value}
        yield Given((Root(holder, "$", part, ()),), holder, _way(part), name=name)


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and value.get("jsonrpc") == "2.0"


def _message(value: dict[str, Any], name: str) -> Given:
    method = value.get("method")
    known = METHODS.get(method) if isinstance(method, str) else None
    if method is None or (known is not None and known.sender is Sender.SERVER):
        return Given(places_of_answer(value, None), value, Direction.RESPONSE, name=name, message=True)
    tool = None
    if method == TOOLS_CALL and isinstance(params := value.get("params"), dict):
        tool = params.get("name") if isinstance(params.get("name"), str) else None
    return Given(places_of_request(value), value, Direction.REQUEST, tool, name=name, message=True)


def _way(part: Part) -> Direction:
    return Direction.REQUEST if part is Part.ARGUMENTS else Direction.RESPONSE
