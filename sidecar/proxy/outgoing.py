"""The head of a request as it leaves for the backend."""

from __future__ import annotations

from mesh.protocol.http1.heads import CHUNKED, Headers
from mesh.protocol.http1.lines import LeavingLines
from sidecar.proxy.plan import Plan, Treatment

_REPLACED = frozenset({b"host", b"content-length", b"expect"})

_INSPECTED = _REPLACED | {b"accept-encoding"}
"""A compressed answer could not be inspected, so none is asked for."""

_SPOOFABLE = frozenset({b"x-forwarded-client-cert"})
"""Headers by which applications learn the peer's identity; a peer must not set them itself."""

_LINES = {
    ("outbound", True): LeavingLines(_INSPECTED),
    ("outbound", False): LeavingLines(_REPLACED),
    ("inbound", True): LeavingLines(_INSPECTED | _SPOOFABLE),
    ("inbound", False): LeavingLines(_REPLACED | _SPOOFABLE),
}
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def outgoing(plan: Plan, headers: Headers, body_length: int) -> bytes:
    """Request line and headers: end-to-end fields kept, Host and framing made here.

    `body_length`: bytes, or CHUNKED for a body that is streamed.
    """
    head, routed = plan.head, plan.routed
    inspected = plan.treatment is not Treatment.HTTP
    lines = _LINES[routed.direction, inspected].encode(headers, head.fields.get(b"connection"))
    asked = b"accept-encoding: identity\r\n" if inspected else b""
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
