"""From a label on a namespace to a filtered tool list: an agent calls an MCP server, each in an injected pod."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.images import Image
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod, workload
from e2e.cluster.node import Node
from e2e.pods import document

PROGRAMS = Image("example/mcp")
ENABLED = {"outrider.dev/injection": "enabled"}
USER = 4000  # an application under transparent capture must not be root
PORT = 9000


def program(name: str, command: list[str], capture: str, **spec: Any) -> dict[str, Any]:
    """A pod of ours that gets a sidecar."""
    made = pod(
        name, image=PROGRAMS.part, command=command, annotations={"outrider.dev/capture": capture}, **spec
    )
    made["spec"]["securityContext"] = {"runAsUser": USER, "runAsGroup": USER, "runAsNonRoot": True}
    made["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    return made


@pytest.fixture
def programs(kubelet: Node, python_v2: Path) -> Iterator[str]:
    """The interpreter that has the MCP SDK, known to the node."""
    image = Image(PROGRAMS.part, code=(str(python_v2.parent.parent),))
    kubelet.images.add(image)
    yield str(python_v2)
    kubelet.images.remove(image)


@pytest.fixture
def agents(
    outrider: Installation,
    kube: Kube,
    make_namespace: MakeNamespace,
    programs: str,
) -> str:
    """A namespace with an MCP server behind a Service, and policies for whoever calls it."""
    namespace = make_namespace(**ENABLED)
    identity = f"spiffe://cluster.local/ns/{namespace}/sa/default"
    host = f"tools.{namespace}.svc.cluster.local"
    backend = document(
        "Backend",
        "tools",
        protocol="MCP",
        host=host,
        port=PORT,
        path="/mcp",
        tls={"mode": "Mesh", "identity": identity},
    )
    policy = document(
        "AgentPolicy",
        "agents",
        outbound=[{"backend": "tools", "tools": {"allow": ["granted", "forbidden_there"]}}],
        inbound=[{"from": [identity], "mcp": {"tools": {"allow": ["granted", "forbidden_here"]}}}],
    )
    serve = [
        programs,
        "-m",
        "e2e.servers.backwards",
        "--port",
        str(PORT),
        "--host",
        "0.0.0.0",
        "--host",
        "::",
    ]
    server = program("tools", serve, "transparent", ports=[{"containerPort": PORT}])
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "tools"},
        "spec": {"selector": {"app": "tools"}, "ports": [{"port": PORT}]},
    }
    kube.apply(backend, policy, service, workload("Deployment", "tools", server), namespace=namespace)
    kube.wait_rollout("tools", namespace)
    return namespace


@pytest.mark.parametrize("capture", ["explicit", "transparent"])
def test_an_agent_sees_and_calls_the_tools_that_both_sides_grant(
    capture: str, kube: Kube, agents: str, programs: str
) -> None:
    asked = {
        "key": "",
        "url": f"http://tools.{agents}.svc.cluster.local:{PORT}/mcp",
        "mode": "auto",
        "calls": [[tool, {"words": "drawer"}] for tool in ("granted", "forbidden")],
    }
    script = f"echo {shlex.quote(json.dumps(asked))} | {programs} -m e2e.clients.sdk_v2"
    client = program("client", ["sh", "-c", script], capture)
    kube.apply(workload("Job", "client", client), namespace=agents)
    kube.wait_job("client", agents)
    (ran,) = kube.items("Pod", agents, "app=client")
    found = json.loads(kube.logs(ran["metadata"]["name"], agents, "app").splitlines()[-1])
    assert found["tools"] == ["granted"], found
    assert found["calls"][0]["text"] == "reward"
    assert "text" not in found["calls"][1]
