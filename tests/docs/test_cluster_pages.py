"""What the pages for clusters say is what the code does: links, codes, manifests, commands, and the example."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import re
import shlex
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cli.main import COMMANDS
from mesh.policy.load import load_texts
from mesh.reasons import Reason
from mesh.settings.table import SIDECAR_CONTAINER
from sidecar.app import Sidecar
from sidecar.config import load_config
from sidecar.policies import load_files
from tests.support.meshed import Mesh, Published, new_mesh
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace
from webhook.admission.settings import InjectionSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDE = DOCS / "use-on-a-cluster.md"
INDEX = DOCS / "troubleshooting.md"
PAGES = sorted((DOCS / "troubleshooting").glob("*.md"))
WRITTEN = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
OURS = [GUIDE, INDEX, *PAGES]

SECTIONS = [
    "What you see",
    "Why it happens",
    "What Outrider does",
    "Check",
    "What to do",
    "What remains",
]
FILES: dict[str, str] = dict(
    re.findall(r"<!-- file: (\S+) -->\n```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
)
VALUES = sorted(name for name in FILES if name.startswith("values"))
MANIFESTS = sorted(name for name in FILES if name not in VALUES)
VERSIONS = ("1.29", kubernetes_validate.latest_version())
# Kinds that Kubernetes itself does not know.
FOREIGN = {"spire.spiffe.io/v1alpha1"}
OWN = {SIDECAR_CONTAINER}
# Words of the shape of a reason code that are something else: events of the log, modules of the kernel.
NO_REASONS = {
    "identity_problem",
    "nf_tables",
    "nft_nat",
    "nft_redir",
    "xt_REDIRECT",
    "xt_multiport",
    "xt_owner",
}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def documents(name: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(FILES[name]) if document]


def objects() -> list[dict[str, Any]]:
    return [document for name in MANIFESTS for document in documents(name)]


def the(kind: str, namespace: str, name: str | None = None) -> dict[str, Any]:
    (found,) = (
        one
        for one in objects()
        if one["kind"] == kind
        and one["metadata"].get("namespace") == namespace
        and name in (None, one["metadata"]["name"])
    )
    return found


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_troubleshooting", DOCS / "build_troubleshooting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Text


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^( *)```.*?^ *```$", "", text(path), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """What can be linked to: headings as GitHub names them, and anchors of our own."""
    found: list[str] = []
    for title in re.findall(r"^#{1,6} (.*)$", prose(path), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return {*found, *re.findall(r'<a id="([^"]+)">', prose(path))}


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        to = (path.parent / file).resolve() if file else path
        if not to.exists() or (anchor and anchor not in anchors(to)):
            broken.append(target)
    assert not broken


def test_anchors_are_distinct() -> None:
    for path in OURS:
        own = re.findall(r'<a id="([^"]+)">', prose(path))
        assert len(own) == len(set(own))


def test_the_tables_are_those_of_the_code() -> None:
    assert text(INDEX) == builder().page(text(INDEX)), "run python docs/build_troubleshooting.py"


def test_every_check_and_every_code_of_admission_has_an_anchor() -> None:
    module = builder()
    wanted = {check.docs.partition("#")[2] for check in module.TABLE} | {str(one) for one in module.ADMISSION}
    assert wanted <= anchors(INDEX)
    assert all(check.docs.partition("#")[0] == "docs/troubleshooting.md" for check in module.TABLE)


def test_the_index_knows_every_code_that_admission_gives() -> None:
    given = set()
    for path in (ROOT / "webhook" / "admission").rglob("*.py"):
        given |= set(re.findall(r"\bReason\.([A-Z_]+)\b", text(path)))
    assert {Reason[name] for name in given} <= set(builder().ADMISSION)


def test_whatever_is_said_to_have_a_page_exists() -> None:
    module = builder()
    known = {str(one) for one in Reason} | {check.id for check in module.TABLE}
    known |= module.final_state_messages().keys()
    assert not set(module.links()) - known
    assert set(module.PAGES) <= {page.stem for page in PAGES}


def test_there_is_a_page_for_each_complaint_and_the_index_links_it() -> None:
    assert len(PAGES) == 16
    linked = set(re.findall(r"\(troubleshooting/([a-z-]+)\.md", text(INDEX)))
    assert linked == {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_all_that_is_to_be_said(page: Path) -> None:
    assert re.findall(r"^## (.*)$", prose(page), re.MULTILINE) == SECTIONS
    check = text(page).split("## Check\n")[1].split("\n## ")[0]
    assert check.startswith("\n```console\n$ "), "begins with one command"


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_every_reason_code_exists(path: Path) -> None:
    known = {str(reason) for reason in Reason} | builder().final_state_messages().keys() | NO_REASONS
    written = set(re.findall(r"`([a-z]+(?:_[A-Za-z]+)+)`", prose(path)))
    written |= set(re.findall(r"outrider(?: refuses this pod)? \(([a-z_]+)\)", text(path)))
    assert {one for one in written if not one.startswith("outrider_")} <= known


# Commands


def commands() -> Iterator[tuple[Path, str]]:
    for path in OURS:
        for block in re.findall(r"```console\n(.*?)```", text(path), re.DOTALL):
            for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
                for part in line.split(" | "):
                    if part.startswith("outrider "):
                        yield path, part
        for line in re.findall(r"`(outrider [a-z][^`…:]+)`", prose(path)):
            for part in line.replace("\\|", "|").split(" | "):
                if part.startswith("outrider "):
                    yield path, part


ASKED = sorted({(path.stem, line) for path, line in commands()})


@pytest.mark.parametrize(("page", "line"), ASKED)
def test_every_command_is_understood(page: str, line: str) -> None:
    name, *arguments = shlex.split(line.replace("NAMESPACE", "agents"))[1:]
    known = {command.name: command.module for command in COMMANDS}
    if name not in known:
        pytest.skip("no such command yet")
    if not arguments:
        return
    parser = argparse.ArgumentParser(prog=f"outrider {name}", exit_on_error=False)
    importlib.import_module(known[name]).configure(parser)
    _, rest = parser.parse_known_args(arguments)
    assert not rest


# Files


def test_every_block_of_the_guide_is_a_file() -> None:
    assert text(GUIDE).count("```yaml") == len(FILES)
    named = re.findall(r"(?<![\w/-])[a-z-]+\.yaml\b", re.sub(r"charts/\S+", "", text(GUIDE)))
    assert set(named) - set(FILES) <= {"policies.yaml"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_are_valid(name: str, version: str) -> None:
    for document in documents(name):
        if document["apiVersion"] not in FOREIGN:
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("namespace", ["tools", "agents"])
def test_workloads_are_injected_without_a_warning(namespace: str) -> None:
    deployment = the("Deployment", namespace)
    became = injected(namespace)
    assert became.warnings == ()
    deployment["spec"]["template"] = became.pod
    for version in VERSIONS:
        kubernetes_validate.validate(deployment, version, strict=True)


def injected(namespace: str) -> Injection:
    labels = the_namespace(namespace)["metadata"]["labels"]
    template = the("Deployment", namespace)["spec"]["template"]
    became = inject(template, Namespace(namespace, labels), InjectionSettings())
    assert isinstance(became, Injection), became
    return became


def the_namespace(name: str) -> dict[str, Any]:
    return next(one for one in objects() if one["kind"] == "Namespace" and one["metadata"]["name"] == name)


@pytest.mark.parametrize("name", VALUES)
def test_values_are_taken_by_the_chart(name: str) -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk has no wheel for this machine")
    with helm.Chart.load(str(ROOT / "charts" / "outrider")) as chart:
        values = yaml.safe_load(FILES[name])
        chart.validate_schema(chart.merge_values(values))
        assert chart.render(values, name="outrider", namespace="outrider-system")


def test_files_of_the_repository_that_are_named_exist() -> None:
    for path in OURS:
        if not (ROOT / "deploy").exists():
            pytest.skip("no Containerfiles yet")
        for name in re.findall(r"\b(?:charts|deploy)/[\w./-]*\w", text(path)):
            assert (ROOT / name).exists(), f"{path.name}: {name}"


@pytest.mark.parametrize("namespace", ["tools", "agents"])
def test_policies_can_be_loaded(namespace: str) -> None:
    config_map = the("ConfigMap", namespace, "outrider-policies")
    assert config_map["metadata"]["labels"] == {"outrider.dev/policies": "true"}
    load_texts(list(config_map["data"].items()))


# The example, run


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
    shown = re.search(
        r"\$ kubectl -n agents logs deployment/triage -c agent\n(.*?)```", text(GUIDE), re.DOTALL
    )
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
    (container,) = (one for one in injected(namespace).pod["spec"]["initContainers"] if one["name"] in OWN)
    fields = {"metadata.namespace": namespace, "metadata.name": "pod-1", "status.podIP": "10.0.0.7"}
    account = the("Deployment", namespace)["spec"]["template"]["spec"]["serviceAccountName"]
    fields["spec.serviceAccountName"] = account
    env = {
        one["name"]: one["value"] if "value" in one else fields[one["valueFrom"]["fieldRef"]["fieldPath"]]
        for one in container["env"] or ()
    }
    policies = folder / f"{namespace}.yaml"
    policies.write_text(the("ConfigMap", namespace, "outrider-policies")["data"]["policies.yaml"])
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
