"""What the workloads of the chain are: their policies and Backends, and the agents at the authorization server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from e2e.oauth.strict import TOKEN_EXCHANGE
from e2e.sidecars import NAMESPACE, VERSION

PORT = 9000
GATEWAY = "gateway"
"""What users call through: a workload of the mesh."""
SCOPES = ("crm.read", "crm.write")
SpiffeId = Callable[[str], str]
"""From the name of a workload."""


@dataclass(frozen=True, slots=True)
class Place:
    """How one workload of the chain is set up.

    `next_one`: whom it calls, with an exchanged token. `serves_a2a`, `calls_a2a`: A2A in place of MCP, which is
    HTTP to the sidecars.
    """

    name: str
    callers: tuple[str, ...]
    application: str
    next_one: str | None = None
    tool: str = "ask"
    serves_a2a: bool = False
    calls_a2a: bool = False


PLACES = (
    Place("crm", ("worker",), "token"),
    Place("worker", ("orchestrator",), "handle", "crm", "whoami"),
    Place("orchestrator", (GATEWAY,), "handle", "worker"),
)
"""From the end, because a sidecar has to know where the next one listens."""
AGENTS = ("orchestrator", "worker")


def places(*, a2a: bool) -> tuple[Place, ...]:
    """The places; with `a2a` the two agents speak that to each other."""
    crm, worker, orchestrator = PLACES
    return (crm, replace(worker, serves_a2a=a2a), replace(orchestrator, calls_a2a=a2a))


def resource(name: str) -> str:
    """What a workload is called in tokens: its URL."""
    return f"http://{name}.test:{PORT}/mcp"


def clients(spiffe_id: SpiffeId) -> list[dict[str, Any]]:
    """The agents at the authorization server: each may exchange tokens for itself into ones for the next."""
    return [
        {
            "id": place.name,
            "methods": ["svid_jwt_spiffe", "svid_jwt_bearer"],
            "spiffe_id": spiffe_id(place.name),
            "grants": [TOKEN_EXCHANGE],
            "scopes": list(SCOPES),
            "audiences": [resource(place.name)],
            "targets": [resource(place.next_one)],
            "needs_actor": True,
        }
        for place in PLACES
        if place.next_one
    ]


def documents(
    place: Place, issuer: str, spiffe_id: SpiffeId, changed: dict[str, Any]
) -> list[dict[str, Any]]:
    """The policy of a workload, and its Backend. `changed`: members of `users` or `credential` instead of ours."""
    accepted = {"issuer": issuer, "audiences": [resource(place.name)], "algorithms": ["ES256", "RS256"]}
    users = {
        "issuers": [accepted],
        "required": True,
        "resource": resource(place.name),
        "application": place.application,
        **changed.get("users", {}),
    }
    granted = {"http": {"allow": True}} if place.serves_a2a else {"mcp": _all_tools()}
    callers = [spiffe_id(name) for name in place.callers]
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": place.name}},
        "users": users,
        "inbound": [{"from": callers, "users": [f"{issuer}#*"], **granted}],
        "egress": "deny",
    }
    if place.next_one is None:
        return [_document("AgentPolicy", place.name, spec)]
    spec["outbound"] = [{"backend": place.next_one, **({} if place.calls_a2a else _all_tools())}]
    backend = _backend(place, place.next_one, issuer, spiffe_id, changed.get("credential"))
    return [_document("AgentPolicy", place.name, spec), _document("Backend", place.next_one, backend)]


def _backend(
    place: Place, name: str, issuer: str, spiffe_id: SpiffeId, credential: dict[str, Any] | None
) -> dict[str, Any]:
    exchange = {
        "issuer": issuer,
        "client": {"method": "jwt-spiffe"},
        "resource": resource(name),
        "actor": True,
    }
    return {
        "protocol": "HTTP" if place.calls_a2a else "MCP",
        "host": f"{name}.test",
        "port": PORT,
        "path": "/" if place.calls_a2a else "/mcp",
        "tls": {"mode": "Mesh", "identity": spiffe_id(name)},
        "credential": credential or {"exchange": exchange},
    }


def _all_tools() -> dict[str, Any]:
    return {"tools": {"allow": ["*"]}}  # made anew: policies have no YAML aliases


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": spec}
