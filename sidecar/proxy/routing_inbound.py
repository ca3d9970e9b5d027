"""From a peer's request to the application, and to the MCP path that it is decided as.

JSON-RPC is an MCP server's only at a path that an inbound rule declares, and at endpoints announced from there.
Anywhere else it needs a grant of plain HTTP to pass at all, and is decided even then by the rules of the MCP path
beside it, because a lenient server might not tell the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from mesh.policy.compile import Policy
from mesh.policy.decision import INBOUND, Decision, HttpRequest, Inbound
from mesh.policy.principal import Principal
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import plain_path
from mesh.reasons import Reason
from sidecar.proxy.plan import Routed, Treatment, is_oauth_metadata
from sidecar.proxy.pool import Destination

InboundEndpoints = Mapping[str, str | None]
"""`port/path` that an HTTP+SSE server of the application announced -> the declared path under which it did; None
where two did."""


def endpoint_key(port: int, path: str) -> str:
    """The key of an endpoint: two ports of the application may be two servers."""
    return f"{port}{path}"


def route_inbound(
    policy: Policy,
    principal: Principal,
    application: Destination,
    path: bytes,
    authority: bytes,
    learned: InboundEndpoints,
) -> Routed:
    """Route a peer's request. Raises HttpRefused for an ambiguous path, so also for one that a lenient server may
    read as one with policies of its own, which would not be asked."""
    plain = plain_path(path) if path != b"*" else "*"
    if policy.entrances.is_doubtful(plain):
        raise HttpRefused(Reason.HTTP_BAD_TARGET, "the path could be read as a path with stricter policies")
    declared = policy.inbound(plain)
    target = declared
    key = endpoint_key(application.port, plain)
    if declared is INBOUND or (declared.path == "/" and key in learned):
        owner = learned.get(key)
        target = INBOUND if owner is None else policy.inbound(owner)
    http = policy.decide(principal, target, "http", http=HttpRequest("GET", plain))
    granted = http.allowed and not http.observed
    metadata = is_oauth_metadata(plain)
    asked = _granted_somewhere(policy, principal) if metadata and target is INBOUND else target
    # Where access policies speak, plain HTTP may be granted by what only a request tells; each is decided anyway.
    sniffed = http.allowed or metadata or (policy.needs_context and target is not INBOUND)
    closed = target is INBOUND and not sniffed
    return Routed(
        "inbound",
        path,
        plain,
        authority,
        application,
        asked,
        "application",
        Treatment.SNIFF if sniffed else Treatment.MCP,
        refusal=(http.reason, plain) if closed else None,
        neighbour=policy.entrances.only if target is INBOUND and granted else target,
        # Where plain HTTP is granted there is nothing else to ask. At an announced endpoint clients only POST.
        transport=not granted and (metadata or declared is not INBOUND),
    )


def _granted_somewhere(policy: Policy, principal: Principal) -> Inbound:
    """A declared path at which the peer is granted MCP, if there is one: metadata may be that of any."""

    def ask(inbound: Inbound) -> Decision:
        return policy.decide(principal, inbound, "ping")

    declared = policy.entrances.declared
    allowed = [inbound for inbound in declared if ask(inbound).allowed]
    outright = [inbound for inbound in allowed if not ask(inbound).observed]
    return next(iter((*outright, *allowed, *declared)), INBOUND)
