"""Pods that run need nobody: their sidecars die and come back, and the control plane may be away."""

from __future__ import annotations

import json
from typing import Final

import pytest

from e2e.cluster.api import Json
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from e2e.cluster.node import Node
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER

POLICIES: Final = """
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: all}
spec:
  selector: {}
  egress: deny
"""
# What the sidecar answers to the application: that it decides, and how.
ASK: Final = """
import json, urllib.error, urllib.request
try:
    print(json.dumps([urllib.request.urlopen("http://nobody.example/", timeout=5).status, ""]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
except OSError as error:
    print(json.dumps([0, str(error)]))
"""


@pytest.fixture
def agent(outrider: Installation, kube: Kube, make_namespace: MakeNamespace) -> tuple[str, Json]:
    """A namespace, and an agent that runs in it."""
    namespace = make_namespace(**{"outrider.dev/injection": "enabled"})
    kube.apply(POLICIES, namespace=namespace)
    kube.create(pod("agent", image="example/shell", command=["sleep", "3600"]), namespace=namespace)
    return namespace, kube.wait_ready("agent", namespace)


def refused_by_sidecar(kubelet: Node, namespace: str) -> bool:
    """Does the sidecar answer, and refuse what no policy grants?"""
    code, said = kubelet.exec(namespace, "agent", "app", ["python", "-c", ASK])
    assert code == 0, said
    status, text = json.loads(said.splitlines()[-1])
    return status == 403 and "egress" in text


def sidecar_restarts(found: Json) -> int:
    count: int = found["status"]["initContainerStatuses"][0]["restartCount"]
    return count


def kill_sidecar(kube: Kube, kubelet: Node, namespace: str) -> Json:
    """The pod, once a new sidecar is ready."""
    before = sidecar_restarts(kube.the("Pod", "agent", namespace))
    kubelet.worker(namespace, "agent").container(SIDECAR_CONTAINER).kill()

    def again() -> bool:
        return sidecar_restarts(kube.the("Pod", "agent", namespace)) > before

    kube.until(again, "the sidecar is started again", namespace)
    return kube.wait_ready("agent", namespace)


def test_a_sidecar_that_dies_comes_back_and_decides_again(
    kube: Kube, kubelet: Node, agent: tuple[str, Json]
) -> None:
    namespace, before = agent
    assert refused_by_sidecar(kubelet, namespace)
    after = kill_sidecar(kube, kubelet, namespace)
    assert refused_by_sidecar(kubelet, namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_pod_runs_on_and_its_sidecar_restarts_while_there_is_no_control_plane(
    outrider: Installation, kube: Kube, kubelet: Node, agent: tuple[str, Json]
) -> None:
    namespace, before = agent
    kube.patch("Deployment", names.WEBHOOK, {"spec": {"replicas": 0}}, outrider.namespace)
    try:
        kube.until(lambda: not outrider.pods(), "no control plane", outrider.namespace)
        after = kill_sidecar(kube, kubelet, namespace)
        assert refused_by_sidecar(kubelet, namespace)
    finally:
        kube.patch("Deployment", names.WEBHOOK, {"spec": {"replicas": 2}}, outrider.namespace)
        outrider.ready()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_sidecar_has_the_identity_of_its_service_account_before_and_after_a_restart(
    kube: Kube, kubelet: Node, agent: tuple[str, Json]
) -> None:
    namespace, _ = agent
    expected = f"spiffe://cluster.local/ns/{namespace}/sa/default"
    assert expected in kube.logs("agent", namespace, SIDECAR_CONTAINER)
    kill_sidecar(kube, kubelet, namespace)
    assert expected in kube.logs("agent", namespace, SIDECAR_CONTAINER)
