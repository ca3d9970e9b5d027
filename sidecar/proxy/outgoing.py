"""The head of a request as it leaves for the backend."""

from __future__ import annotations

from mesh.protocol.http1.heads import CHUNKED, Headers
from mesh.protocol.http1.write import encode_request_head, end_to_end
from sidecar.proxy.plan import Plan, Treatment

_REPLACED = frozenset({b"host", b"content-length", b"expect"})

_INSPECTED = _REPLACED | {b"accept-encoding"}
"""A compressed answer could not be inspected, so none is asked for."""

_SPOOFABLE = frozenset({b"x-forwarded-client-cert"})
"""Headers by which applications learn the peer's identity; a peer must not set them itself."""


def outgoing(plan: Plan, headers: Headers, body_length: int) -> bytes:
    """Request line and headers: end-to-end fields kept, Host and framing made here.

    `body_length`: bytes, or CHUNKED for a body that is streamed.
    """
    inspected = plan.treatment is not Treatment.HTTP
    dropped = _INSPECTED if inspected else _REPLACED
    if plan.direction == "inbound":
        dropped = dropped | _SPOOFABLE
    fields = [(b"host", plan.authority)]
    fields += [field for field in end_to_end(headers) if field[0] not in dropped]
    if inspected:
        fields.append((b"accept-encoding", b"identity"))
    if body_length == CHUNKED:
        fields.append((b"transfer-encoding", b"chunked"))
    elif body_length or plan.head.method in ("POST", "PUT", "PATCH"):
        fields.append((b"content-length", b"%d" % body_length))
    return encode_request_head(plan.head.method, plan.path, fields)
