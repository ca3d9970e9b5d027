"""The chart without a control plane for sidecars: policies in ConfigMaps, identity from SPIRE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.identities import SpiffeDriver
from e2e.cluster.installation import WITHOUT_CONTROL, Installation, installed
from e2e.cluster.kube import Kube, pod
from e2e.pods import document
from mesh.settings.table import SIDECAR_CONTAINER

ENABLED = {"outrider.dev/injection": "enabled"}


@pytest.fixture(scope="module")
def outrider(kube: Kube) -> Iterator[Installation]:
    with installed(kube, **WITHOUT_CONTROL) as made:
        yield made


def config_map(*documents: dict[str, Any]) -> dict[str, Any]:
    """The policies of a namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "outrider-policies", "labels": {"outrider.dev/policies": "true"}},
        "data": {"policies.yaml": yaml.safe_dump_all(documents)},
    }


def test_a_pod_waits_for_policies_and_comes_up_once_they_are_there(
    kube: Kube, make_namespace: MakeNamespace, outrider: Installation, identities: SpiffeDriver
) -> None:
    namespace = make_namespace(**ENABLED)
    kube.create(pod("waiting"), namespace=namespace)
    assert "outrider-policies" in kube.wait_event("FailedMount", namespace)
    kube.apply(config_map(document("AgentPolicy", "none", outbound=[])), namespace=namespace)
    kube.wait_ready("waiting", namespace)
    identity = str(identities.trust.id(f"ns/{namespace}/sa/default"))
    assert identity in kube.logs("waiting", namespace, SIDECAR_CONTAINER)


def test_the_control_plane_can_be_switched_on_while_pods_run(
    kube: Kube, make_namespace: MakeNamespace, outrider: Installation, identities: SpiffeDriver
) -> None:
    """Whoever leads until the rollout is over knows of no CA."""
    namespace = make_namespace(**ENABLED)
    policy = document("AgentPolicy", "none", outbound=[])
    kube.apply(config_map(policy), namespace=namespace)
    kube.create(pod("before"), namespace=namespace)
    kube.wait_ready("before", namespace)
    outrider.upgrade()
    kube.apply(policy, namespace=namespace)
    kube.create(pod("after"), namespace=namespace)
    kube.wait_ready("after", namespace)
    assert f"spiffe://cluster.local/ns/{namespace}/sa/default" in kube.logs(
        "after", namespace, SIDECAR_CONTAINER
    )
    assert kube.wait_ready("before", namespace)["status"]["initContainerStatuses"][0]["restartCount"] == 0
