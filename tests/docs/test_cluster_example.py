"""The example of docs/use-on-a-cluster.md: its files are valid, its commands find nothing wrong, and it runs."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from cli.main import main
from mesh.policy.load import load_objects, load_texts
from mesh.settings.table import SIDECAR_CONTAINER
from sidecar.app import Sidecar
from sidecar.config import load_config
from sidecar.policies import load_files
from tests.support.cluster_guide import (
    FILES,
    MANIFESTS,
    PAGE,
    ROOT,
    VALUES,
    changed_policies,
    documents,
    injected,
    the,
)
from tests.support.meshed import Mesh, Published, new_mesh
from tests.support.outrider_cluster import controlled
from webhook.admission.settings import InjectionSettings

POLICIES = {"agents": "agent-policies.yaml", "tools": "server-policies.yaml"}
VERSIONS = ("1.29", kubernetes_validate.latest_version())
# Kinds that Kubernetes itself does not know.
FOREIGN = {"spire.spiffe.io/v1alpha1", "outrider.dev/v1alpha1"}


def test_every_block_of_the_guide_is_a_file() -> None:
    assert PAGE.count("```yaml") == len(FILES)
    named = re.findall(r"(?<![\w/-])[a-z-]+\.yaml\b", re.sub(r"charts/\S+", "", PAGE))
    assert set(named) - set(FILES) <= {"policies.yaml"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_are_valid(name: str, version: str) -> None:
    for document in documents(name):
        if document["apiVersion"] not in FOREIGN:
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("settings", [None, controlled()], ids=["ConfigMap", "control plane"])
@pytest.mark.parametrize("namespace", ["tools", "agents"])
def test_workloads_are_injected_without_a_warning(namespace: str, settings: InjectionSettings | None) -> None:
    deployment = the("Deployment", namespace)
    became = injected(namespace, settings)
    assert became.warnings == ()
    deployment["spec"]["template"] = became.pod
    for version in VERSIONS:
        kubernetes_validate.validate(deployment, version, strict=True)


@pytest.mark.parametrize("name", VALUES)
def test_values_are_taken_by_the_chart(name: str) -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk has no wheel for this machine")
    with helm.Chart.load(str(ROOT / "charts" / "outrider")) as chart:
        values = yaml.safe_load(FILES[name])
        chart.validate_schema(chart.merge_values(values))
        assert chart.render(values, name="outrider", namespace="outrider-system")


def test_policies_can_be_loaded() -> None:
    found = load_texts([(name, FILES[name]) for name in POLICIES.values()])
    assert [(one.namespace, one.name) for one in found.policies] == [
        ("agents", "triage"),
        ("tools", "tickets-callers"),
    ]
    load_objects(one for name in POLICIES.values() for one in documents(name))


@pytest.mark.parametrize(
    "line",
    re.findall(r"^\$ (outrider (?:analyze|inject|policy) .*)$", PAGE, re.MULTILINE),
)
def test_commands_about_the_files_find_nothing_wrong(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert main(shlex.split(line)[1:]) == 0
    out, said = capsys.readouterr()
    assert "warning" not in (out + said).replace("0 warnings", "")


def test_the_change_of_the_page_is_one_of_its_policy() -> None:
    before, after = FILES["agent-policies.yaml"], changed_policies()
    assert before != after
    documents = load_texts([("agent-policies.yaml", after)])
    tools = documents.policies[0].outbound[0].mcp.tools
    assert tools is not None
    assert tools.allow == ("search_*", "get_ticket", "delete_ticket")


async def test_the_example_runs_as_shown(tmp_path: Path) -> None:
    """Both scripts as processes, beside sidecars that have the environment of the injected pods."""
    port = free_port()
    script = the("ConfigMap", "tools", "tickets")["data"]["server.py"]
    assert script.count("8080") == 1
    server = await python(script.replace("8080", str(port)), {})
    mesh = new_mesh("cluster.local")
    try:
        await listening(port)
        for_server = {"OUTRIDER_LISTEN_INBOUND": "127.0.0.1:0", "OUTRIDER_LISTEN_FORWARD": "off"}
        for_server["OUTRIDER_APPLICATION_PORTS"] = str(port)
        async with sidecar(mesh, tmp_path, "tools", for_server) as beside_server:
            connect = {"tickets.tools.svc.cluster.local:8080": beside_server["inbound"]}
            for_agent = {"OUTRIDER_LISTEN_FORWARD": "127.0.0.1:0", "OUTRIDER_CONNECT": json.dumps(connect)}
            async with sidecar(mesh, tmp_path, "agents", for_agent) as beside_agent:
                proxies = {"HTTP_PROXY": "http://" + beside_agent["forward"]}
                agent = await python(agent_script(), {**agent_variables(), **proxies})
                out, _ = await asyncio.wait_for(agent.communicate(), 20)
    finally:
        server.kill()
        await server.wait()
    shown = re.search(r"\$ kubectl -n agents logs deployment/triage -c agent\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    assert out.decode() == shown[1]


def agent_script() -> str:
    return str(the("ConfigMap", "agents", "triage")["data"]["agent.py"])


def agent_variables() -> dict[str, str]:
    (container,) = the("Deployment", "agents")["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"]} | {"STAY": "0"}


@asynccontextmanager
async def sidecar(
    mesh: Mesh, folder: Path, namespace: str, local: dict[str, str]
) -> AsyncIterator[dict[str, str]]:
    """The sidecar of the pod of a namespace: its environment, but for addresses of this machine."""
    (container,) = (
        one for one in injected(namespace).pod["spec"]["initContainers"] if one["name"] == SIDECAR_CONTAINER
    )
    fields = {"metadata.namespace": namespace, "metadata.name": "pod-1", "status.podIP": "10.0.0.7"}
    account = the("Deployment", namespace)["spec"]["template"]["spec"]["serviceAccountName"]
    fields["spec.serviceAccountName"] = account
    env = {
        one["name"]: one["value"] if "value" in one else fields[one["valueFrom"]["fieldRef"]["fieldPath"]]
        for one in container["env"] or ()
    }
    policies = folder / f"{namespace}.yaml"
    policies.write_text(FILES[POLICIES[namespace]])
    env |= {"OUTRIDER_LISTEN_TELEMETRY": "127.0.0.1:0", "OUTRIDER_POLICIES": str(policies), **local}
    provider = Published(mesh.identity(f"spiffe://cluster.local/ns/{namespace}/sa/{account}"))
    started = Sidecar(load_config(None, env), load_files([policies]), provider)
    addresses = await started.start()
    try:
        yield addresses
    finally:
        started.stop()
        await started.drain()


async def python(script: str, env: dict[str, str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-u", "-c", script, env=env, stdout=pipe)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def listening(port: int) -> None:
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    pytest.fail("the server of the page does not listen")
