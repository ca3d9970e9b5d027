"""The objects of the cluster's demo: two namespaces, a server and its Service, an agent, and what each may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli.cluster.answers import Obj
from cli.demo.cluster_programs import AGENT, SERVER
from mesh.policy.documents import API_VERSION
from mesh.settings.table import NAMESPACE_INJECTION

AGENT_NAME, SERVER_NAME = "triage", "tickets"
READING = ("find_ticket", "read_ticket")
EVERYTHING = (*READING, "delete_ticket")
_PORT, _INBOUND = 8080, 15443
_USER = 65532


@dataclass(frozen=True, slots=True)
class Cast:
    """The two namespaces and the image of every container."""

    prefix: str
    image: str

    @property
    def agents(self) -> str:
        return f"{self.prefix}-agents"

    @property
    def tools(self) -> str:
        return f"{self.prefix}-tools"

    @property
    def host(self) -> str:
        """The name by which the agent calls the server."""
        return f"{SERVER_NAME}.{self.tools}.svc.cluster.local"


def namespace(name: str) -> Obj:
    """With injection."""
    labels = {NAMESPACE_INJECTION.name: "enabled", "app.kubernetes.io/managed-by": "outrider-demo"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def belongings(name: str) -> list[tuple[str, Obj]]:
    """A workload's account and program, each with the resource that it is created at."""
    program = {"main.py": SERVER if name == SERVER_NAME else AGENT}
    return [
        ("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}),
        (
            "configmaps",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": program},
        ),
    ]


def service() -> Obj:
    """The server's, which leads to its sidecar."""
    spec = {"selector": {"app": SERVER_NAME}, "ports": [{"port": _PORT, "targetPort": _INBOUND}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVER_NAME}, "spec": spec}


def pod(name: str, image: str, url: str = "") -> Obj:
    """A pod that runs its program, as `restricted` Pod Security wants it."""
    hardened = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container: dict[str, Any] = {
        "name": "program",
        "image": image,
        "command": ["python", "-u", "/program/main.py"],
        "securityContext": hardened,
        "volumeMounts": [{"name": "program", "mountPath": "/program"}],
    }
    if url:
        container["env"] = [{"name": "MCP_URL", "value": url}]
    else:
        container["ports"] = [{"containerPort": _PORT}]
    user = {"runAsNonRoot": True, "runAsUser": _USER, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {
        "serviceAccountName": name,
        "securityContext": user,
        "terminationGracePeriodSeconds": 40,
        "containers": [container],
        "volumes": [{"name": "program", "configMap": {"name": name}}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
    }


def backend(cast: Cast, identity: str) -> Obj:
    """The server as the agent's namespace declares it; `identity` is what it has to prove."""
    tls = {"mode": "Mesh", "identity": identity}
    spec = {"protocol": "MCP", "host": cast.host, "port": _PORT, "path": "/mcp", "tls": tls}
    return {"apiVersion": API_VERSION, "kind": "Backend", "metadata": {"name": SERVER_NAME}, "spec": spec}


def agent_policy(tools: tuple[str, ...]) -> Obj:
    """What the agent may use."""
    rule = {"backend": SERVER_NAME, "tools": {"allow": list(tools)}}
    spec = {"selector": {"matchLabels": {"app": AGENT_NAME}}, "egress": "deny", "outbound": [rule]}
    return {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": AGENT_NAME}, "spec": spec}


def server_policy(caller: str) -> Obj:
    """Who may call the server."""
    rule = {"from": [caller], "mcp": {"path": "/mcp", "tools": {"allow": ["*"]}}}
    spec = {"selector": {"matchLabels": {"app": SERVER_NAME}}, "inbound": [rule]}
    return {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": SERVER_NAME}, "spec": spec}
