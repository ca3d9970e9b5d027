"""The cluster under the other tests is one: what Kubernetes and its kubelet promise holds here."""

from __future__ import annotations

from e2e.cluster.kube import Kube, pod


def test_a_pod_runs(kube: Kube, namespace: str) -> None:
    kube.create(pod("one"), namespace=namespace)
    found = kube.wait_ready("one", namespace)
    assert found["status"]["podIP"].startswith("10.")
    assert len(found["status"]["podIPs"]) == 2
