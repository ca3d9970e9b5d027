"""`helm install`, a label on a namespace, and pods come up with a sidecar."""

from __future__ import annotations

import pytest

from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.identities import SpiffeDriver
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from mesh.settings.table import SIDECAR_CONTAINER

ENABLED = {"outrider.dev/injection": "enabled"}
POLICIES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: outrider-policies, labels: {outrider.dev/policies: "true"}}
data:
  policies.yaml: |
    apiVersion: outrider.dev/v1alpha1
    kind: AgentPolicy
    metadata: {name: all}
    spec:
      selector: {}
      outbound: [{backend: "*", tools: {allow: ["*"]}}]
"""


@pytest.fixture
def agents(make_namespace: MakeNamespace, kube: Kube, identities: SpiffeDriver) -> str:
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
