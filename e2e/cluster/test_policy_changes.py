"""Policies change, break and stay while agents work: real MCP clients and servers beside real sidecars."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.api import ApiError, Json
from e2e.cluster.conftest import remove_namespace
from e2e.cluster.images import Image
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod, workload
from e2e.cluster.node import Node
from e2e.cluster.readyz import readyz, sidecar_restarts, wait_restarted
from e2e.cluster.test_agents import PORT, program
from e2e.cluster.tools_server import of_image, server, service
from e2e.pods import document
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER

NAMESPACE = "policy-changes"
IDENTITY = f"spiffe://cluster.local/ns/{NAMESPACE}/sa/default"
HOST = f"tools.{NAMESPACE}.svc.cluster.local"
IMAGE = "example/mcp-standing"
CLIENTS = {"client-explicit": "explicit", "client-transparent": "transparent"}
ROLE = {"role": "client"}
TOOLS = ["forbidden_there", "granted"]
"""What both ends grant at first; what a test takes away, it gives back."""
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass(frozen=True, slots=True)
class Agents:
    """Two clients whose sessions last as long as this module, and the server that they call."""

    kube: Kube
    outrider: Installation

    def seen(self, client: str) -> list[Json]:
        """What a client saw, each time that it was another thing."""
        log = self.kube.logs(client, NAMESPACE, "app")
        return [json.loads(line) for line in log.splitlines() if line.startswith("{")]

    def until(self, tools: list[str]) -> dict[str, float]:
        """When each client came to see and to be able to call just these tools."""

        def look() -> dict[str, float] | None:
            last = {client: self.seen(client)[-1] for client in CLIENTS}
            if all(one["listed"] == one["answered"] == tools for one in last.values()):
                return {client: one["at"] for client, one in last.items()}
            return None

        return self.kube.until(look, f"clients see {tools}", NAMESPACE)

    def grant(self, policy: str, allow: list[str]) -> float:
        """As kubectl patch; when that was."""
        spec = {"clients": outbound(allow), "tools": inbound(allow)}[policy]
        began = time.time()
        self.kube.patch("AgentPolicy", policy, {"spec": spec}, NAMESPACE)
        return began

    def pods(self) -> list[Json]:
        return self.kube.items("Pod", NAMESPACE)

    def versions(self) -> dict[str, str]:
        """Of the configuration that is in force in each pod."""
        return {one["metadata"]["name"]: readyz(one)["configuration"]["version"] for one in self.pods()}


def outbound(allow: list[str]) -> Json:
    return {"outbound": [{"backend": "tools", "tools": {"allow": allow}}]}


def inbound(allow: list[str]) -> Json:
    return {"inbound": [{"from": [IDENTITY], "mcp": {"tools": {"allow": allow}}}]}


@pytest.fixture(scope="module")
def agents(outrider: Installation, kube: Kube, kubelet: Node, python_v2: Path) -> Iterator[Agents]:
    image = Image(IMAGE, code=(str(python_v2.parent.parent),))
    with contextlib.ExitStack() as stack:
        kubelet.images.add(image)
        stack.callback(kubelet.images.remove, image)
        meta = {"name": NAMESPACE, "labels": {"outrider.dev/injection": "enabled"}}
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        stack.callback(remove_namespace, kube, NAMESPACE)
        kube.until(lambda: kube.get("ServiceAccount", "default", NAMESPACE), "the account is there")
        kube.apply(*policies(), service(), namespace=NAMESPACE)
        kube.apply(workload("Deployment", "tools", server(str(python_v2), IMAGE)), namespace=NAMESPACE)
        kube.wait_rollout("tools", NAMESPACE)
        for name, capture in CLIENTS.items():
            kube.create(client(name, capture, str(python_v2)), namespace=NAMESPACE)
        for name in CLIENTS:
            kube.wait_ready(name, NAMESPACE)
        made = Agents(kube, outrider)
        kube.until(lambda: all(map(made.seen, CLIENTS)), "both clients talk", NAMESPACE)
        made.until(TOOLS)
        yield made


def policies() -> list[Json]:
    tls = {"mode": "Mesh", "identity": IDENTITY}
    backend = document("Backend", "tools", protocol="MCP", host=HOST, port=PORT, path="/mcp", tls=tls)
    clients = document("AgentPolicy", "clients", selector={"matchLabels": ROLE}, **outbound(TOOLS))
    served = {"matchLabels": {"app": "tools"}}
    return [backend, clients, document("AgentPolicy", "tools", selector=served, **inbound(TOOLS))]


def client(name: str, capture: str, python: str) -> Json:
    command = [python, "-m", "e2e.cluster.standing_client", f"http://{HOST}:{PORT}/mcp", *TOOLS]
    return of_image(program(name, command, capture, labels=ROLE, restartPolicy="Never"), IMAGE)


@pytest.fixture(autouse=True)
def as_before(agents: Agents) -> Iterator[None]:
    """Every test gives back what it took, and the clients' sessions outlast it."""
    yield
    agents.grant("clients", TOOLS)
    agents.grant("tools", TOOLS)
    agents.until(TOOLS)
    for name in CLIENTS:
        (state,) = agents.kube.the("Pod", name, NAMESPACE)["status"]["containerStatuses"]
        assert state["restartCount"] == 0
        assert "running" in state["state"]


@pytest.mark.parametrize("end", ["clients", "tools"])
def test_a_tool_is_gone_from_running_sessions_within_a_second_and_comes_back(
    end: str, agents: Agents
) -> None:
    restarts = {one["metadata"]["name"]: sidecar_restarts(one) for one in agents.pods()}
    began = agents.grant(end, ["forbidden_there"])
    gone = {client: at - began for client, at in agents.until(["forbidden_there"]).items()}
    began = agents.grant(end, TOOLS)
    back = {client: at - began for client, at in agents.until(TOOLS).items()}
    print(f"policy of {end}: gone after {gone}, back after {back} s")
    assert max(*gone.values(), *back.values()) < 1.0
    assert {one["metadata"]["name"]: sidecar_restarts(one) for one in agents.pods()} == restarts


def test_status_and_columns_say_how_many_agents_run_a_policy(agents: Agents) -> None:
    agents.grant("clients", ["granted"])
    kube = agents.kube

    def counted() -> Json | None:
        found = kube.the("AgentPolicy", "clients", NAMESPACE)
        status = found.get("status") or {}
        of_now = status.get("observedGeneration") == found["metadata"]["generation"]
        return status if of_now and status.get("applied") == {"current": 2, "total": 2} else None

    status = kube.until(counted, "both run it", NAMESPACE)
    said = {one["type"]: one["status"] for one in status["conditions"]}
    assert (said["Accepted"], said["Applied"]) == ("True", "True")
    table = kube.api.request("GET", kube.path("AgentPolicy", NAMESPACE, "clients"), accept=TABLE)
    shown = dict(
        zip((one["name"] for one in table["columnDefinitions"]), table["rows"][0]["cells"], strict=True)
    )
    assert (shown["Name"], shown["Accepted"], shown["Applied"]) == ("clients", "True", "2/2")
    table = kube.api.request("GET", kube.path("Backend", NAMESPACE, "tools"), accept=TABLE)
    assert "tools" in table["rows"][0]["cells"]


def arguments(*required: str) -> list[Json]:
    return [{"tool": "granted", "require": text, "message": "no"} for text in required]


def invalid(*required: str) -> Json:
    (rule,) = outbound(TOOLS)["outbound"]
    return {"outbound": [{**rule, "arguments": arguments(*required)}]}


def test_an_invalid_policy_is_refused_with_every_error_at_once(agents: Agents) -> None:
    with pytest.raises(ApiError) as refused:
        agents.kube.patch(
            "AgentPolicy", "clients", {"spec": invalid("args.a ==", "nobody.b == 1")}, NAMESPACE
        )
    assert "arguments[0].require" in refused.value.message
    assert "arguments[1].require" in refused.value.message


def test_an_invalid_policy_that_passed_by_admission_leaves_the_last_valid_one_in_force_and_says_so(
    agents: Agents,
) -> None:
    kube = agents.kube
    agents.grant("clients", ["granted"])
    agents.until(["granted"])
    before = agents.versions()
    validator = kube.the("ValidatingWebhookConfiguration", names.VALIDATOR)
    kube.delete("ValidatingWebhookConfiguration", names.VALIDATOR)
    try:
        kube.patch("AgentPolicy", "clients", {"spec": invalid("args.a ==")}, NAMESPACE)
    finally:
        for key in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"):
            validator["metadata"].pop(key, None)
        kube.create(validator)

    def told() -> Json | None:
        return condition(kube.the("AgentPolicy", "clients", NAMESPACE), "Accepted", "False")

    found = kube.until(told, "it is told", NAMESPACE)
    assert found["reason"] == "Invalid"
    assert "arguments[0].require" in found["message"]
    assert agents.versions() == before
    agents.until(["granted"])


def condition(found: Json, kind: str, status: str) -> Json | None:
    """A condition of the newest generation."""
    for one in (found.get("status") or {}).get("conditions", []):
        current = one["observedGeneration"] == found["metadata"]["generation"]
        if one["type"] == kind and one["status"] == status and current:
            return dict(one)
    return None


def test_agents_go_on_without_a_control_plane_and_a_sidecar_that_dies_meanwhile_comes_back_from_what_it_kept(
    agents: Agents, kubelet: Node, python_v2: Path
) -> None:
    kube, outrider = agents.kube, agents.outrider
    agents.grant("clients", ["granted"])
    agents.until(["granted"])
    other = client("other", "explicit", str(python_v2))
    other["spec"]["containers"][0]["command"] = ["sleep", "infinity"]
    kube.create(other, namespace=NAMESPACE)
    kube.wait_ready("other", NAMESPACE)
    before = agents.versions()
    kube.patch("Deployment", names.WEBHOOK, {"spec": {"replicas": 0}}, outrider.namespace)
    try:
        kube.until(lambda: not outrider.pods(), "no replica", outrider.namespace)
        kube.until(lambda: all(map(alone, agents.pods())) or None, "every sidecar has noticed", NAMESPACE)
        assert agents.versions() == before
        kubelet.worker(NAMESPACE, "other").container(SIDECAR_CONTAINER).kill()
        lone = wait_restarted(kube, "other", NAMESPACE)
        kube.until(lambda: readyz(lone).get("ready") or None, "it is ready on its own", NAMESPACE)
        assert readyz(lone)["configuration"]["source"] == "saved"
        assert agents.versions() == before
        assert asked_once(kubelet, str(python_v2)) == ["granted"]
        agents.until(["granted"])
    finally:
        kube.patch("Deployment", names.WEBHOOK, {"spec": {"replicas": 2}}, outrider.namespace)
        outrider.ready()
    kube.until(lambda: not any(map(alone, agents.pods())) or None, "all are connected", NAMESPACE, 60)
    kube.delete("Pod", "other", NAMESPACE, grace=0)


def asked_once(kubelet: Node, python: str) -> list[str]:
    """What an SDK client sees that begins now, in the pod that has only a sidecar of its own."""
    asked = {"key": "", "url": f"http://{HOST}:{PORT}/mcp", "mode": "auto", "calls": []}
    script = f"echo {shlex.quote(json.dumps(asked))} | {python} -m e2e.clients.sdk_v2"
    code, printed = kubelet.exec(NAMESPACE, "other", "app", ["sh", "-c", script], 30)
    assert code == 0, printed
    tools: list[str] = json.loads(printed.splitlines()[-1])["tools"]
    return tools


def bystander(name: str) -> Json:
    return pod(name, annotations={"outrider.dev/capture": "explicit"})


def alone(one: Json) -> bool:
    return readyz(one).get("configuration", {}).get("connected") is False


def test_a_new_pod_stays_closed_until_the_control_plane_answers(agents: Agents, kubelet: Node) -> None:
    kube = agents.kube
    with control_port_closed(agents.outrider, kubelet):
        kube.create(bystander("early"), namespace=NAMESPACE)

        def waiting() -> Any:
            said = readyz(kube.the("Pod", "early", NAMESPACE))
            return {one["code"] for one in said.get("reasons", [])} >= {"no_svid", "no_configuration"}

        kube.until(waiting, "it waits, and says for what", NAMESPACE)
        status = kube.the("Pod", "early", NAMESPACE)["status"]
        assert all(not one["ready"] for one in status["containerStatuses"])
        agents.until(TOOLS)
    kube.wait_ready("early", NAMESPACE)
    kube.delete("Pod", "early", NAMESPACE, grace=0)


@contextlib.contextmanager
def control_port_closed(outrider: Installation, kubelet: Node) -> Iterator[None]:
    """Pods are admitted, and sidecars reach nobody."""
    rules = (
        "table inet closed { chain in { type filter hook input priority 0; "
        f"tcp dport {names.CONTROL_PORT} reject with tcp reset; }}; }}"
    )
    found = [kubelet.worker(outrider.namespace, one["metadata"]["name"]).network for one in outrider.pods()]
    networks = [network for network in found if network is not None]
    try:
        for network in networks:
            done = network.run(["nft", rules])
            assert done.returncode == 0, done.stderr
        yield
    finally:
        for network in networks:
            network.run(["nft", "delete", "table", "inet", "closed"])
