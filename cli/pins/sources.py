"""Where tools are read from: a running server, a `tools/list` result in a file, or what a Backend approves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from cli.policy.live_tools import describe_tools
from cli.policy.loading import Misused, documents_of
from mesh.pins.canonical import NotCanonical
from mesh.pins.digest import set_digest, tool_digest
from mesh.policy.guardrails import PinMode
from mesh.protocol.strict_json import JsonRefused, parse

STDIN = "-"


class Offer(msgspec.Struct, frozen=True):
    """Tools of a server: digests by name, and definitions where those are known. `digest` is that of the set;
    empty where it is not known."""

    source: str
    digest: str
    tools: dict[str, str]
    definitions: dict[str, dict[str, Any]] = {}
    twice: tuple[str, ...] = ()
    """Names that stand for two tools; the last counts."""


def offered(source: str, headers: dict[str, str]) -> Offer:
    """What a URL, a file or standard input offers. Raises Misused and ServerFailed."""
    if "://" in source:
        return offer_of(describe_tools(source, headers), source)
    return offer_of(_listed(_read(source), source), source)


def approved(source: str, name: str | None, headers: dict[str, str]) -> Offer:
    """What was approved: by a Backend in a file of policy documents, or as `offered`. Raises as that does, and as
    reading policies does."""
    if "://" not in source and source != STDIN and not _is_json(_read(source)):
        return _of_backend(source, name)
    return offered(source, headers)


def offer_of(tools: list[dict[str, Any]], source: str) -> Offer:
    """Tools with their digests. Raises Misused."""
    named: dict[str, str] = {}
    digests: list[str] = []
    twice: dict[str, None] = {}
    for tool in tools:
        name = tool.get("name")
        if not isinstance(name, str) or not name:
            raise Misused(f"{source}: a tool has no name; the sidecar hides such tools")
        try:
            digest = tool_digest(tool)
        except NotCanonical as error:
            raise Misused(f"{source}: tool {name}: {error}") from error
        if named.get(name, digest) != digest:
            twice[name] = None
        named[name] = digest
        digests.append(digest)
    definitions = {str(tool["name"]): tool for tool in tools}
    return Offer(source, set_digest(digests), named, definitions, tuple(twice))


def _read(source: str) -> bytes:
    if source == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise Misused(f"{source} cannot be read: {error.strerror}") from error


def _is_json(text: bytes) -> bool:
    return text.lstrip().startswith((b"{", b"["))


def _listed(text: bytes, source: str) -> list[dict[str, Any]]:
    """The tools of a `tools/list` result, of a whole answer, of a list of either (its pages), or of tools."""
    try:
        value = parse(text).value
    except JsonRefused as refused:
        raise Misused(f"{source} is no JSON that a sidecar takes: {refused.detail}") from refused
    tools: list[dict[str, Any]] = []
    for one in value if isinstance(value, list) else [value]:
        tools += _page(one, source)
    return tools


def _page(value: Any, source: str) -> list[dict[str, Any]]:
    result = value.get("result", value) if isinstance(value, dict) else None
    listed = result.get("tools") if isinstance(result, dict) else None
    if isinstance(listed, list) and all(isinstance(one, dict) for one in listed):
        return listed
    if isinstance(result, dict) and "name" in result:
        return [result]
    raise Misused(f"{source}: expected a tools/list result, its pages in a list, or a list of tools")


def _of_backend(source: str, name: str | None) -> Offer:
    _, documents = documents_of([source])
    pinned = [one for one in documents.backends if one.pin is not None and (name is None or one.name == name)]
    if len(pinned) != 1:
        found = ", ".join(one.name for one in pinned)
        wanted = "no Backend with a pin" if name is None else f"no Backend {name} with a pin"
        raise Misused(
            f"{source} has several ({found}); choose one with --backend"
            if pinned
            else f"{source} has {wanted}"
        )
    pin = pinned[0].pin
    if pin is None or pin.mode is not PinMode.APPROVED:
        raise Misused(f"Backend {pinned[0].name} approves nothing (mode FirstUse); compare with a saved list")
    return Offer(f"Backend {pinned[0].name}", pin.digest, dict(pin.tools))
