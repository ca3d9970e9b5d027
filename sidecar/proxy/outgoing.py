"""The head of a request as it leaves for the backend."""

from __future__ import annotations

from mesh.protocol.http1.heads import CHUNKED, Headers
from mesh.protocol.http1.lines import LeavingLines
from mesh.protocol.http1.write import end_to_end
from sidecar.proxy.plan import Plan, Treatment

_REPLACED = frozenset({b"host", b"content-length", b"expect"})

_SNIFFED = _REPLACED | {b"accept-encoding"}
"""A compressed answer could not be inspected, so none is asked for."""

_INSPECTED = _SNIFFED | {b"content-type"}
"""The body leaves as plain JSON in UTF-8 whatever parameters its media type came with."""

_SPOOFABLE = frozenset({b"x-forwarded-client-cert"})
"""Headers by which applications learn the peer's identity; a peer must not set them itself."""

_DROPPED = {Treatment.HTTP: _REPLACED, Treatment.SNIFF: _SNIFFED, Treatment.MCP: _INSPECTED}
_LEFT_OUT = {
    (direction, treatment): dropped | (_SPOOFABLE if direction == "inbound" else frozenset())
    for direction in ("outbound", "inbound")
    for treatment, dropped in _DROPPED.items()
}
_LINES = {key: LeavingLines(dropped) for key, dropped in _LEFT_OUT.items()}
_ASKED = {
    Treatment.HTTP: b"",
    Treatment.SNIFF: b"accept-encoding: identity\r\n",
    Treatment.MCP: b"accept-encoding: identity\r\n",
}
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def leaving(headers: Headers, direction: str, treatment: Treatment, authority: bytes, method: str) -> Headers:
    """The fields that the backend gets, but for those that frame the body."""
    dropped = _LEFT_OUT[direction, treatment]
    kept = [field for field in end_to_end(headers) if field[0] not in dropped]
    if treatment is not Treatment.HTTP:
        kept.append((b"accept-encoding", b"identity"))
    if treatment is Treatment.MCP and method == "POST":
        kept.append((b"content-type", b"application/json"))
    return [(b"host", authority), *kept]


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
