"""From a request's target to where it goes and how it is treated, decided once per target.

The answer depends only on the policy and the target's bytes, so it is remembered: a client uses few URLs, often.
"""

from __future__ import annotations

from collections.abc import Mapping

from mesh.policy.address_space import space_of_host
from mesh.policy.boundary import Reach
from mesh.policy.compile import Policy
from mesh.policy.credentials import Hidden
from mesh.policy.documents import Backend, BackendProtocol
from mesh.protocol.http1.target import Target, plain_path
from sidecar.proxy.plan import Routed, Treatment, is_oauth_metadata
from sidecar.proxy.pool import Destination, TlsMode

Endpoints = Mapping[str, Backend | None]
"""`host:port/path` that an HTTP+SSE server announced -> its Backend; None where two Backends claim it."""

UNDECLARED = "undeclared"
"""Backend name in logs and metrics of destinations that are no Backend."""


def route_outbound(policy: Policy, target: Target, learned: Endpoints) -> Routed:
    """Route an agent's request. `learned`: what HTTP+SSE servers announced as endpoints.

    Raises HttpRefused for a path on a declared host that could be read as another path.
    """
    raw_path = target.path.partition(b"?")[0]
    route = policy.route(target.host, target.port, raw_path.decode("latin-1"))
    authority = authority_of(target)
    if not route.host_declared:
        return _undeclared(policy, target, authority)
    path = plain_path(target.path)
    backend = route.backend or learned.get(f"{target.host}:{target.port}{path}")
    beside = [b for b in policy.backends_at(target.host, target.port) if b.protocol is BackendProtocol.MCP]
    # What JSON-RPC beside an MCP endpoint is decided as; beside several it would be anybody's guess.
    neighbour = beside[0] if len(beside) == 1 else None
    if backend is not None:
        return Routed(
            "outbound",
            target.path,
            path,
            authority,
            destination_of(backend, target),
            backend,
            backend.name,
            _treatment(backend, beside_mcp=bool(beside)),
            neighbour=neighbour,
            transport=backend.protocol is BackendProtocol.MCP,
            credential=backend.credential,
        )
    if beside and is_oauth_metadata(path):
        return Routed(
            "outbound",
            target.path,
            path,
            authority,
            destination_of(beside[0], target),
            beside[0],
            beside[0].name,
            Treatment.SNIFF,
            neighbour=neighbour,
            transport=True,
            credential=beside[0].credential,
        )
    return _undeclared(
        policy, target, authority, by_tls(policy.backends_at(target.host, target.port), target)
    )


def _treatment(backend: Backend, *, beside_mcp: bool) -> Treatment:
    """Beside an MCP endpoint nothing that looks like JSON-RPC may slip past its policy."""
    if backend.protocol is BackendProtocol.MCP:
        return Treatment.MCP
    if beside_mcp:
        return Treatment.SNIFF
    return Treatment.WHOLE if isinstance(backend.credential, Hidden) else Treatment.HTTP


def by_tls(backends: tuple[Backend, ...], target: Target) -> Destination:
    """How a path is reached that no Backend of its host names: never with less TLS than those have."""
    order = (TlsMode.MESH, TlsMode.PUBLIC, TlsMode.NONE)
    return destination_of(min(backends, key=lambda backend: order.index(backend.tls.mode.value)), target)


def _undeclared(
    policy: Policy, target: Target, authority: bytes, declared: Destination | None = None
) -> Routed:
    """A destination that is no Backend, or a path of a declared host that is none's."""
    path = target.path.partition(b"?")[0].decode("latin-1")
    decision = policy.egress(target.host, target.port, path)
    refusal = None if decision.allowed else (decision.reason, f"{target.host}:{target.port}{path}")
    public = target.scheme == "https"
    destination = declared or Destination(
        target.host,
        target.port,
        TlsMode.PUBLIC if public else TlsMode.NONE,
        target.host if public else "",
        reach=policy.reach(target.host, target.port),
    )
    return Routed(
        "outbound", target.path, path, authority, destination, None, UNDECLARED, Treatment.HTTP, refusal
    )


def destination_of(backend: Backend, target: Target) -> Destination:
    """How a Backend is reached. The host is the request's, because a Backend's may be a wildcard."""
    tls = backend.tls
    return Destination(
        target.host,
        target.port,
        tls.mode.value,
        target.host if tls.mode.value == TlsMode.PUBLIC else "",
        tls.identity or "",
        reach_of(backend),
    )


def reach_of(backend: Backend) -> str:
    """Where a declared host may lead. Its document is the operator's word, and a private address no surprise.

    But a name may be somebody else's to resolve. No server has a link-local address, and least of all that of the
    cloud's metadata: whoever means it writes the address.
    """
    return Reach.ROUTED if space_of_host(backend.host) is None else Reach.ANYWHERE


def authority_of(target: Target) -> bytes:
    """The Host header for a destination (RFC 9110, section 7.2)."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    return (host if target.port == target.default_port else f"{host}:{target.port}").encode()
