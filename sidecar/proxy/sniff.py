"""Is this JSON-RPC? Asked beside MCP endpoints, where plain HTTP may pass and a hidden tools/call may not."""

from __future__ import annotations

from typing import Any

from mesh.protocol.http1.heads import Headers, all_values
from mesh.protocol.jsonrpc import JsonRpcRefused, Kind, messages
from mesh.protocol.strict_json import JsonRefused, parse
from sidecar.limits import Limits
from sidecar.proxy.plan import Id

_FORM = b"application/x-www-form-urlencoded"


def looks_like_json(headers: Headers) -> bool:
    """The media type says JSON, in whatever spelling."""
    return any(b"json" in value.lower() for value in all_values(headers, b"content-type"))


def speaks_json_rpc(headers: Headers, body: bytes) -> bool:
    """True unless the body surely is no JSON-RPC: a form, or strict JSON without any JSON-RPC member.

    What cannot be parsed strictly counts as JSON-RPC, so that it is refused by the MCP treatment.
    """
    if not body:
        return False
    types = all_values(headers, b"content-type")
    if len(types) == 1 and types[0].partition(b";")[0].strip().lower() == _FORM:
        return False
    try:
        value = parse(body).value
    except JsonRefused:
        return True
    return any(map(_is_message, value if isinstance(value, list) else [value]))


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and not value.keys().isdisjoint(("jsonrpc", "method", "params"))


def pending_ids(body: bytes, limits: Limits) -> tuple[Id, ...]:
    """Ids of the JSON-RPC requests in a body that is refused anyway; empty if it is none."""
    try:
        found, _ = messages(parse(body, max_depth=limits.json_depth).value, max_batch=limits.batch)
    except (JsonRefused, JsonRpcRefused):
        return ()
    return tuple(m.id for m in found if m.kind is Kind.REQUEST and m.id is not None)
