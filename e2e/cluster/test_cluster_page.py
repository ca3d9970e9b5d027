"""docs/use-on-a-cluster.md on a cluster: its files as they stand, its commands, and the agent's log as shown."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
import yaml

from cli.main import main
from e2e.cluster.conftest import Cluster, remove_namespace
from e2e.cluster.identities import SpiffeDriver
from e2e.cluster.images import Image
from e2e.cluster.installation import Installation, installed
from e2e.cluster.kube import Kube
from tests.support.cluster_guide import FILES, PAGE

PYTHON = Image("python:3.13-slim")
# What SPIRE's driver registers; the tests' own does without.
DRIVER = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "CSIDriver",
    "metadata": {"name": "csi.spiffe.io"},
    "spec": {"attachRequired": False, "podInfoOnMount": True, "volumeLifecycleModes": ["Ephemeral"]},
}
NAMESPACES = ("tools", "agents")
OURS = "registry.example/mesh/outrider/"


@pytest.fixture(scope="module")
def outrider(kube: Kube) -> Iterator[Installation]:
    """Outrider with the values of the page."""
    with installed(kube, **yaml.safe_load(FILES["values.yaml"])) as made:
        yield made


@pytest.fixture(scope="module")
def page(kube: Kube, cluster: Cluster, identities: SpiffeDriver, outrider: Installation) -> Iterator[None]:
    """The files of the page, applied; only the trust domain is that of the tests."""
    cluster.node.images.add(PYTHON)
    with contextlib.ExitStack() as stack:
        stack.callback(cluster.node.images.remove, PYTHON)
        kube.apply(DRIVER)
        stack.callback(kube.delete, "CSIDriver", DRIVER["metadata"]["name"])
        for namespace in NAMESPACES:
            stack.callback(remove_namespace, kube, namespace)
        for name in ("server.yaml", "agent.yaml", "server-policies.yaml", "agent-policies.yaml"):
            text = FILES[name].replace("spiffe://cluster.local/", f"spiffe://{identities.trust.name}/")
            kube.apply(text)
        kube.wait_rollout("tickets", "tools")
        kube.wait_rollout("triage", "agents")
        yield


def test_the_agent_sees_what_the_page_shows(page: None, kube: Kube) -> None:
    shown = re.search(r"\$ kubectl -n agents logs deployment/triage -c agent\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    (agent,) = kube.items("Pod", "agents")
    name = agent["metadata"]["name"]
    wanted = shown[1].splitlines()

    def said() -> list[str]:
        return kube.logs(name, "agents", "agent").splitlines()

    kube.until(lambda: len(said()) >= len(wanted), "the agent's log", "agents")
    assert said() == wanted
    sidecar = next(one for one in agent["spec"]["initContainers"] if one["name"] == "outrider-sidecar")
    assert sidecar["image"].startswith(OURS)


def test_what_was_refused_is_told_as_the_page_tells_it(
    page: None, kube: Kube, capsys: pytest.CaptureFixture[str]
) -> None:
    (agent,) = kube.items("Pod", "agents")
    name = agent["metadata"]["name"]
    kube.until(lambda: "delete_ticket" in kube.logs(name, "agents", "agent"), "the refused call", "agents")
    assert main(["describe", "pod", name, "-n", "agents", "--kubeconfig", str(kube.kubeconfig)]) == 0
    denials = capsys.readouterr().out.split("Last denials\n")[1]
    for words in ("delete_ticket", "tool_not_granted", "AgentPolicy/triage outbound[0] tools.allow"):
        assert words in denials
        assert f"`{words}`" in PAGE


@pytest.mark.parametrize(
    "command", ["check --wait 60", "check -n agents", "check-inject deployment/triage -n agents"]
)
def test_the_commands_of_the_page_find_nothing_wrong(command: str, page: None, kube: Kube) -> None:
    assert f"$ outrider {command}\n" in PAGE
    assert main([*command.split(), "--kubeconfig", str(kube.kubeconfig)]) == 0
