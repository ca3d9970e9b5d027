"""The head of a request as it leaves for the backend."""

from __future__ import annotations

from mesh.protocol.http1.heads import CHUNKED, Headers
from mesh.protocol.http1.lines import LeavingLines
from sidecar.proxy.plan import Plan, Treatment

_REPLACED = frozenset({b"host", b"content-length", b"expect"})

_SNIFFED = _REPLACED | {b"accept-encoding"}
"""A compressed answer could not be inspected, so none is asked for."""

_INSPECTED = _SNIFFED | {b"content-type"}
"""The body leaves as plain JSON in UTF-8 whatever parameters its media type came with."""

_SPOOFABLE = frozenset({b"x-forwarded-client-cert"})
"""Headers by which applications learn the peer's identity; a peer must not set them itself."""

_DROPPED = {Treatment.HTTP: _REPLACED, Treatment.SNIFF: _SNIFFED, Treatment.MCP: _INSPECTED}
_LINES = {
    (direction, treatment): LeavingLines(dropped | (_SPOOFABLE if direction == "inbound" else frozenset()))
    for direction in ("outbound", "inbound")
    for treatment, dropped in _DROPPED.items()
}
_ASKED = {
    Treatment.HTTP: b"",
    Treatment.SNIFF: b"accept-encoding: identity\r\n",
    Treatment.MCP: b"accept-encoding: identity\r\n",
}
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def outgoing(plan: Plan, headers: Headers, body_length: int) -> bytes:
    """Request line and headers: end-to-end fields kept, Host and framing made here.

    `body_length`: bytes, or CHUNKED for a body that is streamed.
    """
    head, routed, treatment = plan.head, plan.routed, plan.treatment
    key = (routed.direction, treatment)
    lines = head.memo.get(key) if headers is head.headers else None
    if lines is None:
        lines = _LINES[key].encode(headers, head.fields.get(b"connection"))
        if headers is head.headers:
            head.memo[key] = lines
    asked = _ASKED[treatment]
    if treatment is Treatment.MCP and body_length:
        asked += b"content-type: application/json\r\n"
    if body_length == CHUNKED:
        framing = b"transfer-encoding: chunked\r\n"
    elif body_length or head.method in _WITH_BODY:
        framing = b"content-length: %d\r\n" % body_length
    else:
        framing = b""
    return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b%b%b\r\n" % (
        head.method.encode(),
        routed.path,
        routed.authority,
        lines,
        asked,
        framing,
    )
