"""What stands for a tool, and for all tools of a server: SHA-256 over the canonical form.

Everything counts that a client can show to a model or a person, or act on: name, title, description, both schemas,
annotations, icons, execution, and members that no revision of MCP knows yet. Of `_meta` only what decides which
page is shown beside the tool counts (`ui`, `ui/...` of MCP Apps, `openai/...` of Apps SDK); the rest is what
servers say to programs, and often another thing each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from mesh.pins.canonical import canonical

PREFIX: Final = "sha256:"
_SHOWN: Final = ("ui/", "openai/")


def definition(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a tool that is pinned."""
    pinned = {name: value for name, value in tool.items() if name != "_meta"}
    meta = tool.get("_meta")
    if isinstance(meta, dict):
        shown = {
            name: value
            for name, value in meta.items()
            if isinstance(name, str) and (name == "ui" or name.startswith(_SHOWN))
        }
        if shown:
            pinned["_meta"] = shown
    return pinned


def tool_digest(tool: Mapping[str, Any]) -> str:
    """`sha256:<hex>` of one tool. Raises NotCanonical."""
    return digest_of(canonical(definition(tool)))


def digest_of(text: bytes) -> str:
    """`sha256:<hex>` of a canonical text."""
    return PREFIX + sha256(text).hexdigest()


def set_digest(digests: Iterable[str]) -> str:
    """`sha256:<hex>` of all tools of a server, from the digest of each: in any order, each counted once."""
    return digest_of(canonical(sorted(set(digests))))
