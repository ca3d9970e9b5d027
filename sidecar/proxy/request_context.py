"""The HTTP request around what is decided on, for policies that have rules about it."""

from __future__ import annotations

from datetime import UTC, datetime

from mesh.policy.decision import RequestContext
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import Headers, RequestHead
from mesh.protocol.http1.target import host_header
from sidecar.proxy.plan import Plan, Routed


def context_of(head: RequestHead, routed: Routed, nanoseconds: int) -> RequestContext:
    """What is known of a request that came at this time (since 1970).

    At the agent's end host and port are those of its destination. At the server's end the host is what the peer
    calls it, and the port is the one that the application listens on, which no peer can claim to be another.
    """
    destination = routed.destination
    host = destination.host if routed.direction == "outbound" else _named(routed.authority)
    return RequestContext(
        method=head.method,
        host=host,
        port=destination.port,
        path=routed.path.decode("latin-1"),
        headers=_joined(head.headers),
        time=time_of(nanoseconds),
    )


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


def _joined(headers: Headers) -> dict[str, str]:
    """Values of one name joined (RFC 9110, section 5.2), as text that any byte has a place in."""
    told: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        told[key] = f"{told[key]},{text}" if key in told else text
    return told
