"""Short ways to write access policies, and to ask what they decide."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mesh.policy import (
    Decision,
    HttpRequest,
    Policy,
    Principal,
    RequestContext,
)

GROUP = "agentic.networking.x-k8s.io"
SOURCE = "spiffe://cluster.local/ns/agents/sa/triage"
Object = dict[str, Any]


def access_policy(name: str, spec: Mapping[str, Any], *, version: str = "v1alpha1", age: int = 0) -> Object:
    """An XAccessPolicy of namespace tools; the greater its age, the older it is."""
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "XAccessPolicy",
        "metadata": {
            "name": name,
            "namespace": "tools",
            "creationTimestamp": f"{2026 - age}-01-01T00:00:00Z",
        },
        "spec": dict(spec),
    }


def on(kind: str = "Backend", name: str = "github") -> list[Object]:
    """`targetRefs` of one target."""
    groups = {"Backend": "outrider.dev", "Gateway": "gateway.networking.k8s.io", "Service": ""}
    return [{"group": groups.get(kind, GROUP), "kind": kind, "name": name}]


def inline(*methods: str | tuple[str, list[str]], base: bool = False, **http: Any) -> Object:
    """An `authorization` of type Inline; a method alone, or with params."""
    named = [{"name": m} if isinstance(m, str) else {"name": m[0], "params": m[1]} for m in methods]
    option = "MATCH_BASE_PROTOCOL_METHODS" if base else "SKIP_BASE_PROTOCOL_METHODS"
    return {"type": "Inline", "mcp": {"methods": named, "mcpBaseProtocolMethodsOption": option}, **http}


def cel(expression: str, **others: Any) -> Object:
    """An `authorization` of type CEL."""
    return {"type": "CEL", "cel": {"expression": expression}, **others}


def allow(name: str, *authorizations: Object | None, kind: str = "Backend", target: str = "github",
          source: Object | None = None, age: int = 0) -> Object:  # fmt: skip
    """An Allow policy with a rule for each authorization; None is a rule without one."""
    rules = []
    for index, authorization in enumerate(authorizations):
        rule: Object = {"name": f"r{index}"}
        if authorization is not None:
            rule["authorization"] = authorization
        if source is not None:
            rule["source"] = source
        rules.append(rule)
    return access_policy(name, {"targetRefs": on(kind, target), "action": "Allow", "rules": rules}, age=age)


def ask(
    name: str, *authorizations: Object, kind: str = "Backend", target: str = "github", age: int = 0
) -> Object:
    """An ExternalAuth policy."""
    made = allow(name, *authorizations, kind=kind, target=target, age=age)
    auth = {"protocol": "GRPC", "backendRef": {"name": "authz", "port": 50051}, "grpc": {}}
    made["spec"] |= {"action": "ExternalAuth", "externalAuth": auth}
    return made


def agent_policy(spec: Mapping[str, Any], namespace: str = "agents", name: str = "triage") -> Object:
    """An AgentPolicy."""
    return {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


def backend(name: str = "github", namespace: str = "tools", **spec: Any) -> Object:
    """A Backend of MCP, by its Service's name."""
    plain = {"protocol": "MCP", "host": f"{name}.{namespace}.svc", "port": 8080, "path": "/mcp"}
    return {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": "Backend",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**plain, "tls": {"mode": "None"}, **spec},
    }


def standing(*targets: tuple[str, str, str]) -> Object:
    """What a workload of namespace tools stands behind: (group, kind, name)."""
    listed = [{"group": g, "kind": k, "namespace": "tools", "name": n} for g, k, n in targets]
    return {"apiVersion": "outrider.dev/v1alpha1", "kind": "Standing", "spec": {"targets": listed}}


CONTEXT = RequestContext(
    method="POST",
    host="github.tools.svc",
    port=8080,
    path="/mcp?tenant=a",
    headers={"x-tenant": "a", "accept": "application/json, text/event-stream"},
    time=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
)


class Asked:
    """One agent of namespace agents, or one workload of namespace tools, and what it is asked."""

    def __init__(self, policy: Policy, principal: str) -> None:
        self.policy = policy
        self.principal = Principal(principal)

    @property
    def github(self) -> Any:
        return self.policy.route("github.tools.svc", 8080, "/mcp").backend

    def decide(self, method: str, name: str | None = None, arguments: Any = None,
               context: RequestContext | None = CONTEXT, http: HttpRequest | None = None) -> Decision:  # fmt: skip
        return self.policy.decide(self.principal, self.github, method, name, arguments, http, context)

    def call(self, tool: str, arguments: Any = None, context: RequestContext | None = CONTEXT) -> bool:
        return self.decide("tools/call", tool, arguments, context).allowed
