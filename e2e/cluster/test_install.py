"""`helm install`, a label on a namespace, and pods come up with a sidecar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from e2e.cluster.api import ApiError
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.foreign_webhook import foreign_webhook
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from e2e.cluster.node import Node
from e2e.cluster.steady import steady_creation
from mesh.settings.table import SIDECAR_CONTAINER

ENABLED = {"outrider.dev/injection": "enabled"}
POLICIES = """
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: all}
spec:
  selector: {}
  outbound: [{backend: "*", tools: {allow: ["*"]}}]
"""


@pytest.fixture
def agents(make_namespace: MakeNamespace, kube: Kube) -> str:
    """A namespace whose pods get sidecars."""
    namespace = make_namespace(**ENABLED)
    kube.apply(POLICIES, namespace=namespace)
    return namespace


def test_two_replicas_are_ready_and_publish_one_authority(outrider: Installation) -> None:
    assert len(outrider.ready()) == 2
    (authority,) = outrider.authorities()
    assert authority


def test_a_pod_of_an_enabled_namespace_comes_up_with_a_sidecar(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    kube.create(pod("agent"), namespace=agents)
    found = kube.wait_ready("agent", agents)
    (sidecar,) = found["status"]["initContainerStatuses"]
    assert (sidecar["name"], sidecar["ready"]) == (SIDECAR_CONTAINER, True)
    assert '"event":"ready"' in kube.logs("agent", agents, SIDECAR_CONTAINER)


def test_other_namespaces_are_left_alone(outrider: Installation, kube: Kube, namespace: str) -> None:
    made = kube.create(pod("plain"), namespace=namespace)
    assert "initContainers" not in made["spec"]


BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {role}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {role}-user}}]
"""


def test_who_may_view_or_edit_a_namespace_may_do_so_with_its_policies(
    outrider: Installation, kube: Kube, namespace: str
) -> None:
    policy = {"apiVersion": "outrider.dev/v1alpha1", "kind": "AgentPolicy", "metadata": {"name": "all"}}
    policy["spec"] = {"outbound": [{"backend": "*", "tools": {"allow": ["*"]}}]}

    def may(user: Kube, act: Callable[[Kube], object]) -> bool:
        try:
            act(user)
        except ApiError as error:
            if error.status != 403:
                raise
            return False
        return True

    def read(user: Kube) -> object:
        return user.items("AgentPolicy", namespace)

    def write(user: Kube) -> object:
        return user.create(policy, namespace=namespace, dry_run=True)

    for role, writes in (("view", False), ("edit", True)):
        user = kube.as_user(f"{role}-user")
        assert not may(user, read)
        kube.apply(BINDING.format(role=role), namespace=namespace)
        kube.until(lambda user=user: may(user, read) or None, f"{role} holds", namespace)
        assert may(user, write) is writes


def test_a_killed_replica_costs_no_more_than_the_calls_that_it_was_dialled_for(
    outrider: Installation, kube: Kube, agents: str, kubelet: Node
) -> None:
    killed = outrider.pods()[0]["metadata"]["name"]
    with steady_creation(kube, agents, lambda number: pod(f"agent-{number}")) as steady:
        kube.until(lambda: len(steady.created) > 20, "pods before", agents)
        kubelet.worker(outrider.namespace, killed).container("webhook").kill()
        count = len(steady.created)
        kube.until(lambda: len(steady.created) > count + 50, "pods after", agents)
        outrider.ready()
    # Until the API server hears of it, half of its calls are dialled to where nobody listens; and the one that was
    # under way has lost its connection.
    assert all("failed calling webhook" in str(error) for error in steady.failed)
    assert len(steady.failed) < 20
    assert all(made["spec"]["initContainers"][0]["name"] == SIDECAR_CONTAINER for made in steady.created)


def test_no_pod_fails_while_replicas_are_replaced(outrider: Installation, kube: Kube, agents: str) -> None:
    before = {one["metadata"]["name"] for one in outrider.pods()}
    with steady_creation(kube, agents, lambda number: pod(f"agent-{number}")) as steady:
        for name in before:
            kube.delete("Pod", name, outrider.namespace)
            outrider.ready()
        count = len(steady.created)
        kube.until(lambda: len(steady.created) > count + 20, "pods after", agents)
    assert not steady.failed
    assert not before & {one["metadata"]["name"] for one in outrider.pods()}


def test_a_webhook_after_ours_sees_the_sidecar_and_may_add_to_the_pod(
    outrider: Installation, kube: Kube, agents: str, plane: ControlPlane
) -> None:
    added = {"name": "added", "image": "example/app"}

    def add(seen: dict[str, Any]) -> list[dict[str, Any]]:
        known = [container["name"] for container in seen["spec"]["containers"]]
        return [] if "added" in known else [{"op": "add", "path": "/spec/containers/-", "value": added}]

    with foreign_webhook(plane, kube, "zz-after", add, agents, reinvocationPolicy="IfNeeded") as foreign:
        kube.create(pod("agent"), namespace=agents)
    assert foreign.seen[0]["spec"]["initContainers"][0]["name"] == SIDECAR_CONTAINER
    made = kube.wait_ready("agent", agents)
    assert [container["name"] for container in made["spec"]["containers"]] == ["app", "added"]
    assert [container["name"] for container in made["spec"]["initContainers"]] == [SIDECAR_CONTAINER]
