"""Revisions of MCP, and which era a request belongs to.

Servers of both eras share one URL, so the era belongs to each request and not to the connection.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from mesh.protocol.http1.heads import Headers, header
from mesh.protocol.jsonrpc import Message

LEGACY_VERSIONS: Final = ("2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions with a handshake. The first was a preview that some SDKs still offer."""
MODERN_VERSIONS: Final = ("2026-07-28",)
"""Revisions without a handshake: each request says its version."""
KNOWN_VERSIONS: Final = frozenset(LEGACY_VERSIONS + MODERN_VERSIONS)

VERSION_HEADER: Final = b"mcp-protocol-version"
VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"

_MODERN = frozenset(MODERN_VERSIONS)
_MODERN_BYTES = frozenset(version.encode() for version in MODERN_VERSIONS)


class Era(Enum):
    """Whether requests rely on a handshake (LEGACY) or stand alone (MODERN, from 2026-07-28 on)."""

    LEGACY = "legacy"
    MODERN = "modern"


def body_version(message: Message) -> Any:
    """What params._meta says the version is; None if it says nothing. Not a string if the sender is at fault."""
    params = message.params
    if type(params) is dict:
        meta = params.get("_meta")
        if type(meta) is dict:
            return meta.get(VERSION_KEY)
    return None


def era(headers: Headers, message: Message) -> Era:
    """MODERN if the body or the MCP-Protocol-Version header names a modern version, else LEGACY."""
    version = body_version(message)
    if type(version) is str and version in _MODERN:
        return Era.MODERN
    return Era.MODERN if header(headers, VERSION_HEADER) in _MODERN_BYTES else Era.LEGACY
