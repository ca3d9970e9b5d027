"""The one way in which a message of MCP is refused."""

from __future__ import annotations

from typing import Any, Final

from mesh.protocol.jsonrpc import INVALID_PARAMS
from mesh.reasons import Reason

HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022
RESOURCE_NOT_FOUND: Final = -32002
"""Of revisions up to 2025-11-25; later ones say INVALID_PARAMS."""


class McpRefused(Exception):
    """The sender's message breaks a rule of MCP that the policy relies on, or could be read in two ways.

    `code` and `data` are for the JSON-RPC error, `http_status` for the answer that carries it. 200 is the
    rule, because clients of the handshake era end the session at a 4xx; 400 where the specification demands
    it.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        code: int = INVALID_PARAMS,
        http_status: int = 200,
        data: Any = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.code = code
        self.http_status = http_status
        self.data = data


def malformed(detail: str) -> McpRefused:
    """The message does not have the shape that its method requires."""
    return McpRefused(Reason.MCP_MALFORMED, detail)


def header_mismatch(detail: str) -> McpRefused:
    """Headers and body disagree (2026-07-28, Streamable HTTP, "Server Validation")."""
    return McpRefused(
        Reason.MCP_HEADER_MISMATCH, f"Header mismatch: {detail}", code=HEADER_MISMATCH, http_status=400
    )
