"""A cluster for a run, and a fresh namespace for each test; skipped loudly where it cannot be had."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import namespaces
from e2e.cluster import node as nodes
from e2e.cluster.api import ApiError
from e2e.cluster.binaries import binaries, chosen
from e2e.cluster.control_plane import ControlPlane, control_plane
from e2e.cluster.helm import Helm
from e2e.cluster.identities import SpiffeDriver, spiffe_driver
from e2e.cluster.installation import Installation, installed
from e2e.cluster.kube import Kube
from e2e.cluster.network import cluster_network
from e2e.cluster.node import Node
from e2e.conftest import skip
from e2e.environments import Unavailable

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A control plane and its only node."""

    plane: ControlPlane
    node: Node
    folder: Path


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of the run, of the version that OUTRIDER_KUBERNETES names."""
    if reason := namespaces.missing():
        skip("a cluster", reason)
    try:
        programs = binaries(chosen())
    except Unavailable as reason:
        skip(f"Kubernetes {chosen()}", reason)
        raise
    folder = tmp_path_factory.mktemp("cluster")
    with (
        cluster_network() as network,
        control_plane(programs, network.addresses, folder) as plane,
        nodes.running(plane, network, folder) as node,
    ):
        yield Cluster(plane, node, folder)


@pytest.fixture(scope="session")
def plane(cluster: Cluster) -> ControlPlane:
    """The programs of the control plane: to read their logs, and to end and start them."""
    return cluster.plane


@pytest.fixture(scope="session")
def kubelet(cluster: Cluster) -> Node:
    """The stand-in for scheduler, kubelet and kube-proxy."""
    return cluster.node


@pytest.fixture(scope="session")
def kube(cluster: Cluster) -> Kube:
    """The cluster's administrator."""
    return Kube(cluster.plane.admin, cluster.plane.kubeconfig, cluster.node)


MakeNamespace = Callable[..., str]


@pytest.fixture
def make_namespace(kube: Kube, request: pytest.FixtureRequest) -> Iterator[MakeNamespace]:
    """Makes namespaces that are gone after the test: `make_namespace(**{"label.dev/name": "value"})`."""
    made: list[str] = []

    def make(**labels: str) -> str:
        words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))[:40].strip("-")
        name = f"{words}-{next(_numbers)}"
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        made.append(name)
        kube.until(lambda: kube.get("ServiceAccount", "default", name), f"{name} has its service account")
        return name

    yield make
    for name in made:
        remove_namespace(kube, name)


@pytest.fixture
def namespace(make_namespace: MakeNamespace) -> str:
    """A fresh namespace without labels."""
    return make_namespace()


def remove_namespace(kube: Kube, name: str) -> None:
    """Delete a namespace; its pods at once, the rest in the background."""
    with contextlib.suppress(ApiError):
        kube.api.delete(kube.path("Namespace", None, name))
        kube.api.delete(kube.path("Pod", name), gracePeriodSeconds=0)


@pytest.fixture
def helm(kube: Kube) -> Iterator[Callable[[str], Helm]]:
    """Helm for the releases of a namespace: `helm("outrider-system")`."""
    with contextlib.ExitStack() as stack:

        def of(namespace: str) -> Helm:
            made = Helm(kube.kubeconfig, namespace)
            stack.callback(made.close)
            return made

        yield of


@pytest.fixture(scope="module")
def outrider(kube: Kube) -> Iterator[Installation]:
    """Outrider with the chart's defaults, for the tests of one module: they leave it as they found it."""
    with installed(kube) as made:
        yield made


@pytest.fixture(scope="session")
def identities(cluster: Cluster) -> Iterator[SpiffeDriver]:
    """SPIFFE identities of `e2e.test` for every pod that mounts the driver csi.spiffe.io."""
    with spiffe_driver(cluster.node, "e2e.test") as driver:
        yield driver
