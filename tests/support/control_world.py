"""Objects of a small cluster, and a world to put them into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mesh.policy.access.documents import AccessPolicy
from mesh.policy.load import read_object_alone
from webhook.distribution.access import Verdict, Verdicts
from webhook.distribution.cohorts import Cohort
from webhook.distribution.compile import Compiled, compile_cohort
from webhook.distribution.kinds import (
    ACCESS_POLICY,
    AGENT_POLICY,
    AGENTIC_BACKEND,
    BACKEND,
    GATEWAY,
    GATEWAY_BACKEND,
    Kind,
)
from webhook.distribution.objects import Meta, Pod, Resource, Service, pairs
from webhook.distribution.offers import Domains
from webhook.distribution.world import World

DOMAINS = Domains("mesh.example", "cluster.local")


def accept_all(policies: Iterable[AccessPolicy]) -> Mapping[str, Verdicts]:
    """Every policy is accepted, but for those called rejected."""
    return {one.name: dict.fromkeys(one.targets, _verdict(one.name)) for one in policies}


def _verdict(name: str) -> Verdict:
    return Verdict(False, "InvalidCEL", "no") if name.startswith("rejected") else Verdict(True)


def empty_world() -> World:
    return World(DOMAINS, read_object_alone, accept_all)


def pod(
    name: str = "triage-1",
    namespace: str = "agents",
    account: str = "triage",
    *,
    uid: str = "",
    running: bool = True,
    **labels: str,
) -> Pod:
    return Pod(namespace, name, uid or f"uid-{namespace}-{name}", account, pairs(labels), running)


def service(name: str = "github", namespace: str = "tools", **selector: str) -> Service:
    return Service(namespace, name, pairs(selector))


def resource(
    name: str,
    spec: Any,
    namespace: str = "agents",
    generation: int = 1,
    created: str = "2026-01-01T00:00:00Z",
    uid: str = "",
    status: Any = None,
) -> Resource:
    return Resource(Meta(name, namespace, uid or f"uid-{name}", generation, created), spec, status)


def put(world: World, kind: Kind, name: str, spec: Any, namespace: str = "agents", **meta: Any) -> None:
    world.put(kind, resource(name, spec, namespace, **meta))


def agent_policy(selector: Mapping[str, str] | None = None, *backends: str, **more: Any) -> dict[str, Any]:
    chosen = {} if selector is None else {"selector": {"matchLabels": dict(selector)}}
    outbound = [{"backend": one, "tools": {"allow": ["*"]}} for one in backends]
    return {**chosen, "outbound": outbound, **more}


def backend(host: str = "github.tools.svc.cluster.local", port: int = 8080, **more: Any) -> dict[str, Any]:
    return {"protocol": "MCP", "host": host, "port": port, "path": "/mcp", "tls": {"mode": "Public"}, **more}


def agentic_backend(service_name: str = "github", port: int = 8080) -> dict[str, Any]:
    return {"mcp": {"serviceName": service_name, "port": port}}


def gateway_backend(hostname: str = "mcp.example.com", port: int = 443, **more: Any) -> dict[str, Any]:
    external = {"hostname": hostname}
    return {"type": "ExternalHostname", "externalHostname": external, "port": {"number": port}, **more}


def access_policy(
    target: str,
    *sources: str,
    kind: str = "XBackend",
    group: str = "agentic.networking.x-k8s.io",
) -> dict[str, Any]:
    """One rule for each source: a SPIFFE ID, NAMESPACE/ACCOUNT, or * for anybody."""
    rules = []
    for place, one in enumerate(sources):
        rule: dict[str, Any] = {"name": f"rule-{place}"}
        if one.startswith("spiffe:"):
            rule["source"] = {"type": "SPIFFE", "spiffe": one}
        elif one != "*":
            namespace, _, account = one.partition("/")
            rule["source"] = {
                "type": "ServiceAccount",
                "serviceAccount": {"namespace": namespace, "name": account},
            }
        rules.append(rule)
    spec: dict[str, Any] = {
        "targetRefs": [{"group": group, "kind": kind, "name": target}],
        "action": "Allow",
    }
    return spec | ({"rules": rules} if rules else {})


def compiled(world: World, of: Pod) -> Compiled:
    """What a pod is given."""
    world.settle()
    return compile_cohort(world.cohorts.of(of), world)[0]


def documents(given: Compiled) -> dict[str, dict[str, Any]]:
    """Documents of a configuration by kind and name, such as Backend/agents/github."""
    decoded = [msgspec.json.decode(one.body) for one in given.documents]
    return {f"{one['kind']}/{one['metadata']['namespace']}/{one['metadata']['name']}": one for one in decoded}


def cohort_of(world: World, of: Pod) -> Cohort:
    return world.cohorts.of(of)


__all__ = [
    "ACCESS_POLICY",
    "AGENTIC_BACKEND",
    "AGENT_POLICY",
    "BACKEND",
    "GATEWAY",
    "GATEWAY_BACKEND",
]
