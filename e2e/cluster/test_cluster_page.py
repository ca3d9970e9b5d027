"""docs/use-on-a-cluster.md on a cluster: its files as they stand, its commands, and the agent's log as shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import yaml

from cli.main import main
from e2e.cluster.conftest import Cluster, remove_namespace
from e2e.cluster.images import Image
from e2e.cluster.installation import Installation, installed
from e2e.cluster.kube import Kube
from tests.support.cluster_guide import FILES, PAGE, changed_policies, shown

PYTHON = Image("python:3.13-slim")
NAMESPACES = ("tools", "agents")
OURS = "registry.example/mesh/outrider/"
LOGS = "kubectl -n agents logs deployment/triage -c agent"


@pytest.fixture(scope="module")
def outrider(kube: Kube) -> Iterator[Installation]:
    """Outrider with the values of the page: no SPIRE, nothing but the chart."""
    with installed(kube, **yaml.safe_load(FILES["values.yaml"])) as made:
        yield made


@pytest.fixture(scope="module")
def page(kube: Kube, cluster: Cluster, outrider: Installation) -> Iterator[None]:
    """The files of the page, applied in its order."""
    (line,) = [one for one in PAGE.splitlines() if one.startswith("$ kubectl apply -f namespaces.yaml")]
    cluster.node.images.add(PYTHON)
    with contextlib.ExitStack() as stack:
        stack.callback(cluster.node.images.remove, PYTHON)
        for namespace in NAMESPACES:
            stack.callback(remove_namespace, kube, namespace)
        for word in line.split():
            if word in FILES:
                kube.apply(FILES[word])
        kube.wait_rollout("tickets", "tools")
        kube.wait_rollout("triage", "agents")
        yield


def agent_of(kube: Kube) -> str:
    """The name of the agent's pod."""
    (agent,) = kube.items("Pod", "agents")
    return str(agent["metadata"]["name"])


def said(kube: Kube) -> list[str]:
    """The lines of its log."""
    return kube.logs(agent_of(kube), "agents", "agent").splitlines()


def test_the_agent_sees_what_the_page_shows(page: None, kube: Kube) -> None:
    wanted = shown(LOGS)
    # An agent that comes up before its server does ends, and is started again.
    kube.until(lambda: said(kube) == wanted, "the agent's log", "agents")
    (agent,) = kube.items("Pod", "agents")
    sidecar = next(one for one in agent["spec"]["initContainers"] if one["name"] == "outrider-sidecar")
    assert sidecar["image"].startswith(OURS)


def test_what_was_refused_is_told_as_the_page_tells_it(
    page: None, kube: Kube, capsys: pytest.CaptureFixture[str]
) -> None:
    name = agent_of(kube)
    kube.until(lambda: "delete_ticket" in kube.logs(name, "agents", "agent"), "the refused call", "agents")
    assert main(["describe", "pod", name, "-n", "agents", "--kubeconfig", str(kube.kubeconfig)]) == 0
    out = capsys.readouterr().out
    assert "spiffe://cluster.local/ns/agents/sa/triage" in out
    assert "issued by  the control plane" in out
    denials = out.split("Last denials\n")[1]
    for words in ("delete_ticket", "tool_not_granted", "AgentPolicy/triage outbound[0] tools.allow"):
        assert words in denials
        assert f"`{words}`" in PAGE


@pytest.mark.parametrize(
    "command", ["check --wait 60", "check -n agents", "check-inject deployment/triage -n agents"]
)
def test_the_commands_of_the_page_find_nothing_wrong(
    command: str, page: None, kube: Kube, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"$ outrider {command}\n" in PAGE
    code = main([*command.split(), "--kubeconfig", str(kube.kubeconfig)])
    print(capsys.readouterr().out)
    assert code == 0


def test_a_change_is_in_force_and_nothing_restarts(page: None, kube: Kube) -> None:
    (wanted,) = shown(f"{LOGS} --tail 1")
    before = agent_of(kube)
    kube.apply(changed_policies())
    kube.until(lambda: said(kube)[-1] == wanted, "the tool that is granted now", "agents")
    kube.apply(FILES["agent-policies.yaml"])
    kube.until(lambda: said(kube)[-1] == shown(LOGS)[0], "the tools as before", "agents")
    assert agent_of(kube) == before
