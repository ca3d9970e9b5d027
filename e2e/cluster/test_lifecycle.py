"""From `helm install` to `helm uninstall`: what users of the cluster notice of it, and what is left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.cluster.api import ApiError, Json
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.helm import release
from e2e.cluster.installation import CHART, RELEASE, VALUES, installed
from e2e.cluster.kube import DISCOVERY, Kube, pod, workload
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER

ENABLED = {"outrider.dev/injection": "enabled"}
POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: all}
spec:
  selector: {}
  outbound: [{backend: "*", tools: {allow: ["*"]}}]
"""
PASSING = {"events", "leases", "endpointslices", "endpoints", "controllerrevisions"}
EVERY_NAMESPACE_HAS = {("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")}


@pytest.fixture
def agents(make_namespace: MakeNamespace) -> str:
    return make_namespace(**ENABLED)


def everything(kube: Kube) -> set[tuple[str, str, str]]:
    """Every object of the cluster: resource, namespace, name. Kinds themselves are objects, too."""
    found: set[tuple[str, str, str]] = set()
    for root in ("/apis", "/api"):
        for group in kube.api.request("GET", root, accept=DISCOVERY)["items"]:
            name, version = group["metadata"].get("name"), group["versions"][0]
            base = f"{root}/{name}/{version['version']}" if name else f"{root}/{version['version']}"
            for one in version["resources"]:
                if "list" in one["verbs"] and one["resource"] not in PASSING:
                    found |= listed(kube, base, one["resource"])
    return found


def listed(kube: Kube, base: str, resource: str) -> set[tuple[str, str, str]]:
    try:
        items = kube.api.get(f"{base}/{resource}")["items"]
    except ApiError as error:
        if error.status == 404:  # a kind that was removed a moment ago
            return set()
        raise
    metas = (one["metadata"] for one in items)
    return {(resource, meta.get("namespace", ""), meta["name"]) for meta in metas}


def left_behind(kube: Kube, before: set[tuple[str, str, str]], namespace: str) -> set[tuple[str, str, str]]:
    """What there is now and was not before, but for the release's namespace as such."""
    expected = {(resource, namespace, name) for resource, name in EVERY_NAMESPACE_HAS}
    return everything(kube) - before - expected - {("namespaces", "", namespace)}


def injected(made: Json) -> bool:
    return bool((made["spec"].get("initContainers") or [{}])[0].get("name") == SIDECAR_CONTAINER)


def test_helm_says_that_it_is_installed_when_pods_get_their_sidecars(kube: Kube, agents: str) -> None:
    with release(kube.kubeconfig, RELEASE) as helm:
        helm.install(CHART, RELEASE, dict(VALUES), wait=True)
        assert injected(kube.create(pod("agent"), namespace=agents, dry_run=True))


def test_nothing_is_left_of_it_and_pods_can_be_created_and_run_on(kube: Kube, agents: str) -> None:
    kube.apply(workload("Deployment", "plain", pod("plain"), replicas=1), namespace=agents)
    kube.wait_rollout("plain", agents)
    before = everything(kube)
    with installed(kube) as outrider:
        kube.apply(POLICY, namespace=agents)
        kube.create(pod("agent"), namespace=agents)
        running = kube.wait_ready("agent", agents)
        assert injected(running)
        assert left_behind(kube, before, outrider.namespace)
    left = kube.until(lambda: left_or_none(kube, before, names.NAMESPACE, agents), "all is gone")
    assert left == "nothing"
    made = kube.create(pod("later"), namespace=agents)
    assert not injected(made)
    kube.wait_ready("later", agents)
    still = kube.wait_ready("agent", agents)
    assert still["metadata"]["uid"] == running["metadata"]["uid"]
    assert still["status"]["initContainerStatuses"][0]["restartCount"] == 0


def left_or_none(kube: Kube, before: set[tuple[str, str, str]], namespace: str, agents: str) -> str | None:
    left = {one for one in left_behind(kube, before, namespace) if one[:2] != ("pods", agents)}
    print(f"left behind: {sorted(left)}" if left else "")
    return None if left else "nothing"


def test_policies_outlive_it_unless_told_otherwise_and_are_taken_over_by_the_next_installation(
    kube: Kube, agents: str
) -> None:
    try:
        with installed(kube, crds={"keep": True}):
            kube.apply(POLICY, namespace=agents)
        assert kube.get("AgentPolicy", "all", agents)
        # Nobody checks them now, and they can be changed and removed.
        kube.patch("AgentPolicy", "all", {"metadata": {"labels": {"changed": "yes"}}}, agents)
        with installed(kube):
            assert kube.get("AgentPolicy", "all", agents)
            assert injected(kube.create(pod("again"), namespace=agents, dry_run=True))
    finally:
        for name in ("agentpolicies.outrider.dev", "backends.outrider.dev"):
            kube.delete("CustomResourceDefinition", name)


@pytest.fixture(scope="module", autouse=True)
def nothing_kept(kube: Kube) -> Iterator[None]:
    """Kinds that an uninstallation keeps are removed after the last test."""
    yield
    for name in ("agentpolicies.outrider.dev", "backends.outrider.dev"):
        kube.delete("CustomResourceDefinition", name)
