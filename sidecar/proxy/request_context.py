"""The HTTP request around what is decided on, for policies that have rules about it.

Its fields are those that the backend gets: what ends here, or is named by Connection, would be believed by a
policy and never be seen by anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from mesh.policy.decision import RequestContext
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import Headers, RequestHead
from mesh.protocol.http1.target import host_header
from sidecar.proxy.outgoing import leaving
from sidecar.proxy.plan import Plan, Routed, Treatment


def context_of(head: RequestHead, routed: Routed, nanoseconds: int) -> RequestContext:
    """What is known of a request that came at this time (since 1970).

    At the agent's end host and port are those of its destination. At the server's end the host is what the peer
    calls it, and the port is the one that the application listens on, which no peer can claim to be another.
    """
    destination = routed.destination
    host = destination.host if routed.direction == "outbound" else _named(routed.authority)
    query = routed.path[len(routed.path.partition(b"?")[0]) :]
    return RequestContext(
        method=head.method,
        host=host,
        port=destination.port,
        path=routed.plain_path + query.decode("latin-1"),
        headers=_fields(head, routed, routed.treatment),
        time=time_of(nanoseconds),
    )


def context_as_mcp(plan: Plan) -> RequestContext | None:
    """The context of a request that turned out to carry MCP messages. None where no policy asks."""
    known = plan.context
    if known is None or plan.routed.treatment is Treatment.MCP:
        return known
    return replace(known, headers=_fields(plan.head, plan.routed, Treatment.MCP))


def context_of_a_call(plan: Plan, nanoseconds: int) -> RequestContext | None:
    """What would be known of a call that follows from an answer to `plan`: a POST, and where streams announced
    an endpoint it goes there. None where no policy asks."""
    known = plan.context
    if known is None:
        return None
    path = known.path if plan.endpoint is None else plan.endpoint.decode("latin-1")
    return RequestContext("POST", known.host, known.port, path, known.headers, time_of(nanoseconds))


def time_of(nanoseconds: int) -> datetime:
    """In UTC, to the microsecond."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _named(authority: bytes) -> str | None:
    """The host of a Host header; None where there is none."""
    try:
        return host_header(authority)[0] if authority else None
    except HttpRefused:
        return None


def _fields(head: RequestHead, routed: Routed, treatment: Treatment) -> Mapping[str, str]:
    """The fields as they leave, worked out once for a head and where it goes."""
    key = (_fields, routed.direction, treatment, routed.authority)
    known: Mapping[str, str] | None = head.memo.get(key)
    if known is None:
        known = _joined(leaving(head.headers, routed.direction, treatment, routed.authority, head.method))
        head.memo[key] = known
    return known


def _joined(headers: Headers) -> dict[str, str]:
    """Values of one name joined (RFC 9110, section 5.2), as text that any byte has a place in."""
    told: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        told[key] = f"{told[key]},{text}" if key in told else text
    return told
