"""XAccessPolicy and XBackend decide in a cluster: for pods that no AgentPolicy selects, at both ends."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.agentic_kinds import AGENTIC, KINDS
from e2e.cluster.api import ApiError, Json
from e2e.cluster.conftest import remove_namespace
from e2e.cluster.images import Image
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, workload
from e2e.cluster.node import Node
from e2e.cluster.test_agents import PORT, program
from e2e.cluster.tools_server import of_image, server, service
from e2e.pods import document
from mesh.settings.table import SIDECAR_CONTAINER
from webhook.distribution.status import CONTROLLER

NAMESPACE = "access-policies"
HOST = f"tools.{NAMESPACE}.svc.cluster.local"
IMAGE = "example/mcp-access"
POLICIES = f"/apis/{AGENTIC}/v1alpha1/namespaces/{NAMESPACE}/xaccesspolicies"
OLDER = f"/apis/{AGENTIC}/v0alpha0/namespaces/{NAMESPACE}/xaccesspolicies"
BACKENDS = f"/apis/{AGENTIC}/v0alpha0/namespaces/{NAMESPACE}/xbackends"
ON_BACKEND = {"group": AGENTIC, "kind": "XBackend", "name": "tools"}
ON_SERVICE = {"group": "", "kind": "Service", "name": "tools"}
CLIENT = "client"
LOOKED_FOR_SECONDS = 30.0
"""A kind that the cluster did not have is looked for every 20 seconds, more or less a quarter."""
ELSEWHERE = {
    "ancestorRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "theirs"},
    "controllerName": "example.com/controller",
    "conditions": [
        {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
}


def policy(*tools: str, target: Json = ON_BACKEND, **authorization: Any) -> Json:
    """Let the pods of this namespace begin a session and call these tools."""
    mcp = {
        "mcpBaseProtocolMethodsOption": "MATCH_BASE_PROTOCOL_METHODS",
        "methods": [{"name": "tools/call", "params": list(tools)}],
    }
    source = {"type": "ServiceAccount", "serviceAccount": {"name": "default"}}
    allowed = {"type": "Inline", "mcp": mcp, **authorization}
    rule = {"name": "callers", "source": source, "authorization": allowed}
    return {
        "apiVersion": f"{AGENTIC}/v1alpha1",
        "kind": "XAccessPolicy",
        "metadata": {"name": "readers"},
        "spec": {"targetRefs": [target], "action": "Allow", "rules": [rule]},
    }


@dataclass(frozen=True, slots=True)
class Readers:
    """A client whose session lasts as long as this module, and the server that it calls."""

    kube: Kube
    picked_up: float

    def until(self, tools: list[str]) -> float:
        """When the client came to see and to be able to call just these tools."""

        def look() -> float | None:
            lines = [x for x in self.kube.logs(CLIENT, NAMESPACE, "app").splitlines() if x.startswith("{")]
            last = json.loads(lines[-1]) if lines else {"at": 0.0}
            return float(last["at"]) if last.get("listed") == last.get("answered") == tools else None

        return self.kube.until(look, f"the client sees {tools}", NAMESPACE)

    def put(self, wanted: Json) -> float:
        """Create the policy or have it say this; when that was."""
        began = time.time()
        try:
            self.kube.api.patch(f"{POLICIES}/readers", {"spec": wanted["spec"]})
        except ApiError as error:
            if error.status != 404:
                raise
            self.kube.api.post(POLICIES, wanted)
        return began

    def ours(self) -> dict[str, Json]:
        """Our verdicts by the kind of the target, once they are about what is there now."""
        found = self.kube.api.get(f"{POLICIES}/readers")
        verdicts: dict[str, Json] = {}
        for one in (found.get("status") or {}).get("ancestors", []):
            for condition in one["conditions"] if one["controllerName"] == CONTROLLER else []:
                if condition["observedGeneration"] == found["metadata"]["generation"]:
                    verdicts[one["ancestorRef"]["kind"]] = condition
        return verdicts


@pytest.fixture(scope="module")
def readers(outrider: Installation, kube: Kube, kubelet: Node, python_v2: Path) -> Iterator[Readers]:
    """The kinds come after the control plane; pods without an AgentPolicy, with an XBackend and a policy on it."""
    image = Image(IMAGE, code=(str(python_v2.parent.parent),))
    with contextlib.ExitStack() as stack:
        kubelet.images.add(image)
        stack.callback(kubelet.images.remove, image)
        meta = {"name": NAMESPACE, "labels": {"outrider.dev/injection": "enabled"}}
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        stack.callback(remove_namespace, kube, NAMESPACE)
        kube.until(lambda: kube.get("ServiceAccount", "default", NAMESPACE), "the account is there")
        kube.apply(service(), namespace=NAMESPACE)
        for one in KINDS:
            kube.create(one)
            stack.callback(kube.delete, one["kind"], one["metadata"]["name"])
        began = time.monotonic()
        kube.until(lambda: create(kube, BACKENDS, backend()), "the kinds are served")
        kube.until(lambda: create(kube, POLICIES, policy("granted")), "both of them")
        kube.apply(workload("Deployment", "tools", server(str(python_v2), IMAGE)), namespace=NAMESPACE)
        kube.wait_rollout("tools", NAMESPACE)
        made = Readers(kube, began)
        kube.until(made.ours, "the kinds are picked up", outrider.namespace, LOOKED_FOR_SECONDS)
        made = Readers(kube, time.monotonic() - began)
        kube.create(client(str(python_v2)), namespace=NAMESPACE)
        kube.wait_ready(CLIENT, NAMESPACE)
        made.until(["granted"])
        yield made


def create(kube: Kube, where: str, wanted: Json) -> bool:
    """False while the API server does not serve the kind yet."""
    try:
        kube.api.post(where, wanted)
    except ApiError as error:
        if error.status in (404, 429):
            return False
        raise
    return True


def backend() -> Json:
    spec = {"mcp": {"serviceName": "tools", "port": PORT, "path": "/mcp"}}
    meta = {"name": "tools"}
    return {"apiVersion": f"{AGENTIC}/v0alpha0", "kind": "XBackend", "metadata": meta, "spec": spec}


def client(python: str) -> Json:
    url = f"http://{HOST}:{PORT}/mcp"
    command = [python, "-m", "e2e.cluster.standing_client", url, "forbidden_there", "granted"]
    return of_image(program(CLIENT, command, "transparent"), IMAGE)


@pytest.fixture(autouse=True)
def as_before(readers: Readers) -> Iterator[None]:
    """Every test gives back what it took, and the client's session outlasts it."""
    yield
    readers.put(policy("granted"))
    readers.until(["granted"])
    (state,) = readers.kube.the("Pod", CLIENT, NAMESPACE)["status"]["containerStatuses"]
    assert "running" in state["state"]


def test_kinds_that_are_installed_while_the_control_plane_runs_are_picked_up(readers: Readers) -> None:
    print(f"kinds picked up after {readers.picked_up:.1f} s")
    assert readers.picked_up <= LOOKED_FOR_SECONDS
    verdict = readers.kube.until(readers.ours, "it is told", NAMESPACE)["XBackend"]
    assert (verdict["type"], verdict["status"], verdict["reason"]) == ("Accepted", "True", "Accepted")


def test_both_ends_decide_by_it(readers: Readers) -> None:
    (pod,) = readers.kube.items("Pod", NAMESPACE, "app=tools")
    for name, direction in ((CLIENT, "outbound"), (pod["metadata"]["name"], "inbound")):
        log = readers.kube.logs(name, NAMESPACE, SIDECAR_CONTAINER).splitlines()
        decisions = [json.loads(line) for line in log if '"event":"decision"' in line]
        allowed = [x for x in decisions if x.get("name") == "granted" and x["direction"] == direction]
        assert allowed, f"{name} decided"
        assert all(one["allowed"] for one in allowed)
        assert all("XAccessPolicy" in one["rule"] for one in allowed), allowed[0]


def test_a_change_is_in_force_within_a_second_and_removal_closes(readers: Readers) -> None:
    began = readers.put(policy("granted", "forbidden_there"))
    widened = readers.until(["forbidden_there", "granted"]) - began
    began = time.time()
    readers.kube.api.delete(f"{POLICIES}/readers")
    closed = readers.until([]) - began
    began = readers.put(policy("granted"))
    opened = readers.until(["granted"]) - began
    print(f"XAccessPolicy: widened after {widened:.3f} s, closed {closed:.3f} s, open again {opened:.3f} s")
    assert max(widened, closed, opened) < 1.0


def test_entries_of_other_controllers_stay(readers: Readers) -> None:
    kube = readers.kube
    found = kube.api.get(f"{POLICIES}/readers")
    entries = [ELSEWHERE, *(found.get("status") or {}).get("ancestors", [])]
    kube.api.patch(f"{POLICIES}/readers/status", {"status": {"ancestors": entries}})
    readers.put(policy("granted", "forbidden_there"))
    kube.until(readers.ours, "the change is judged", NAMESPACE)
    status = kube.api.get(f"{POLICIES}/readers")["status"]
    assert ELSEWHERE in status["ancestors"]
    assert len(status["ancestors"]) == 2


def test_a_policy_with_an_expression_that_cannot_be_compiled_is_not_accepted(readers: Readers) -> None:
    readers.put(policy("granted", type="CEL", cel={"expression": "request.nobody == 1"}))

    def told() -> Json | None:
        verdict = readers.ours().get("XBackend", {})
        return verdict if verdict.get("status") == "False" else None

    verdict = readers.kube.until(told, "it is told", NAMESPACE)
    assert verdict["reason"] == "InvalidCEL"
    readers.until([])


def test_a_policy_on_a_service_decides_at_the_servers_end_beside_an_agentpolicy_at_the_agents(
    readers: Readers,
) -> None:
    outbound = [{"backend": "tools", "tools": {"allow": ["*"]}}]
    selector = {"matchLabels": {"app": CLIENT}}
    readers.kube.apply(
        document("AgentPolicy", CLIENT, selector=selector, outbound=outbound), namespace=NAMESPACE
    )
    try:
        readers.put(policy("forbidden_there", target=ON_SERVICE))
        readers.until(["forbidden_there"])
        verdict = readers.kube.until(lambda: readers.ours().get("Service"), "it is told", NAMESPACE)
        assert verdict["status"] == "True"
    finally:
        readers.kube.delete("AgentPolicy", CLIENT, NAMESPACE)


def test_the_older_version_is_read_as_well(readers: Readers) -> None:
    source = {"type": "ServiceAccount", "serviceAccount": {"name": "default"}}
    tools = {"type": "InlineTools", "tools": ["forbidden_there"]}
    older = {
        "apiVersion": f"{AGENTIC}/v0alpha0",
        "kind": "XAccessPolicy",
        "metadata": {"name": "older"},
        "spec": {
            "targetRefs": [ON_BACKEND],
            "rules": [{"name": "older", "source": source, "authorization": tools}],
        },
    }
    readers.kube.api.post(OLDER, older)
    try:
        readers.until(["forbidden_there", "granted"])
    finally:
        readers.kube.api.delete(f"{OLDER}/older")
