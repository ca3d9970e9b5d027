"""The schema of `pin`: how what an MCP server offers is held to what it offered, or to what was approved."""

from __future__ import annotations

import re
from typing import Any, Final

from mesh.policy import yaml_tree
from mesh.policy.errors import shown
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Place,
    boolean,
    describe,
    integer,
    read_object,
    text,
)
from mesh.policy.guardrails import Pin, PinMode
from mesh.policy.switches import switch
from mesh.policy.yaml_tree import Broken, Node

MAX_TOOLS: Final = 1000
MAX_NAME: Final = 512
MAX_GENERATION: Final = 1_000_000_000

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest_fault(value: str) -> str | None:
    """What is wrong with a digest, or None."""
    if _DIGEST.fullmatch(value):
        return None
    return f"{shown(value)} is no digest; allowed: sha256: and 64 of 0-9 a-f"


_read_digest = text(digest_fault)


def read_pinned_tools(node: Node, place: Place) -> tuple[tuple[str, str], ...] | Invalid:
    """Digests by the exact name of a tool."""
    if isinstance(node, Broken):
        return INVALID
    if not isinstance(node, yaml_tree.Mapping):
        return place.error(
            node, f"expected digests by tool, like {{get_issue: sha256:...}}, found {describe(node)}"
        )
    if not 1 <= len(node.entries) <= MAX_TOOLS:
        return place.error(node, f"{len(node.entries)} entries; allowed: 1 to {MAX_TOOLS}")
    found: list[tuple[str, Any]] = []
    for entry in node.entries:
        below = place.child(entry.key)
        digest = _read_digest(entry.value, below)
        if not 1 <= len(entry.key) <= MAX_NAME:
            digest = below.error(entry.value, f"the name of a tool has 1 to {MAX_NAME} characters")
        found.append((entry.key, digest))
    return INVALID if any(digest is INVALID for _, digest in found) else tuple(found)


PIN_FIELDS: Final = {
    "mode": Field(switch(PinMode, PinMode.OFF), missing="allowed: Off, FirstUse, Approved"),
    "digest": Field(text(digest_fault)),
    "tools": Field(read_pinned_tools),
    "observe": Field(boolean, default=False),
    "generation": Field(integer(1, MAX_GENERATION), default=1),
}


def read_pin(node: Node, place: Place) -> Pin | Invalid | None:
    """The section `pin`; None where nothing is pinned."""
    values = read_object(node, place, PIN_FIELDS)
    if values is None:
        return INVALID
    mode = values["mode"]
    approved = [key for key in ("digest", "tools") if values[key] is not None]
    agrees = True
    if mode is PinMode.APPROVED and not approved:
        message = "missing; Approved compares with digest (of all tools) or tools (a digest each); write one"
        agrees = place.child("digest").error(node, message) is not INVALID
    elif mode in (PinMode.OFF, PinMode.FIRST_USE):
        for key in approved:
            place.child(key).report(
                f"only mode Approved compares with it; remove it, or mode: {mode}", node.line
            )
            agrees = False
    if not agrees or INVALID in values.values():
        return INVALID
    if mode is PinMode.OFF:
        return None
    return Pin(mode, values["digest"] or "", values["tools"] or (), values["observe"], values["generation"])
