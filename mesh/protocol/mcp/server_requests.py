"""What servers ask of clients: to sample a model, to ask the user, to name directories.

Up to 2025-11-25 these are requests of their own, on any stream to the client. Since 2026-07-28 they are
entries of inputRequests in a result, or in the state of a task; their shape is looked for in every result,
since state kept about requests may be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec

from mesh.protocol.lookalikes import KnownNames
from mesh.protocol.mcp.errors import malformed
from mesh.protocol.mcp.subjects import refuse_lookalike

_RESULT_MEMBERS = KnownNames("inputRequests")
_REQUEST_MEMBERS = KnownNames("method", "params")


class ServerRequestKind(StrEnum):
    """What a policy speaks of. PING is harmless; the task methods of 2025-11-25 and all others are UNKNOWN."""

    SAMPLING = "sampling"
    ELICITATION = "elicitation"
    ROOTS = "roots"
    PING = "ping"
    UNKNOWN = "unknown"


_KINDS = {
    "sampling/createMessage": ServerRequestKind.SAMPLING,
    "elicitation/create": ServerRequestKind.ELICITATION,
    "roots/list": ServerRequestKind.ROOTS,
    "ping": ServerRequestKind.PING,
}


class InputRequest(msgspec.Struct, frozen=True, gc=False):
    """One entry of inputRequests: the key it is answered under, and a request without id."""

    key: str
    method: str
    params: dict[str, Any] | None


def server_request(method: str) -> ServerRequestKind:
    """What a request for `method` from a server asks for."""
    return _KINDS.get(method, ServerRequestKind.UNKNOWN)


def input_requests(holder: dict[str, Any]) -> Iterator[InputRequest]:
    """What `holder`, a result or the params of notifications/tasks, asks of the client; nothing in most.

    Raises McpRefused (MCP_MALFORMED) when it cannot be read.
    """
    if "inputRequests" not in holder:
        refuse_lookalike(holder, _RESULT_MEMBERS)
        return
    entries = holder["inputRequests"]
    if entries is None:
        return
    if type(entries) is not dict:
        raise malformed("inputRequests is not an object")
    for key, entry in entries.items():
        yield _input_request(key, entry)


def _input_request(key: str, entry: Any) -> InputRequest:
    if type(entry) is not dict:
        raise malformed("an entry of inputRequests is not an object")
    refuse_lookalike(entry, _REQUEST_MEMBERS)
    method, params = entry.get("method"), entry.get("params")
    if type(method) is not str or not (params is None or type(params) is dict):
        raise malformed("an entry of inputRequests is not a request")
    return InputRequest(key, method, params)
