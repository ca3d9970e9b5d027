"""A folder of YAML files in place of an API server."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest
import yaml

from mesh.distribution.messages import CONFIGURATION_PATH
from mesh.identity.bundle_document import jwk_of
from tests.support.ca import AUDIENCE, ISSUER, TokenIssuer, WallClock
from tests.support.control_stream import Sidecar, proven
from tests.support.control_world import agent_policy, backend, compiled, empty_world
from webhook.admission.metrics import AdmissionMetrics
from webhook.distribution.__main__ import main
from webhook.distribution.folder import Folder
from webhook.distribution.hub import Hub
from webhook.distribution.world import World
from webhook.identity.serving_certificate import ROOT_FILE

POD = {"apiVersion": "v1", "kind": "Pod"}
SERVICE = {"apiVersion": "v1", "kind": "Service"}
POLICY = {"apiVersion": "outrider.dev/v1alpha1", "kind": "AgentPolicy"}
BACKEND = {"apiVersion": "outrider.dev/v1alpha1", "kind": "Backend"}


def write(folder: Path, file: str, *objects: dict[str, object]) -> None:
    (folder / file).write_text(yaml.safe_dump_all(objects))


def named(kind: dict[str, str], name: str, spec: object, namespace: str = "agents") -> dict[str, object]:
    return {**kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@pytest.fixture
def log() -> list[dict[str, object]]:
    return []


@pytest.fixture
def world() -> World:
    return empty_world()


@pytest.fixture
def folder(tmp_path, world, log) -> Folder:
    return Folder(tmp_path, world, log.append)


async def arrived(folder: Folder, world: World, name: str = "triage-1"):
    hub = Hub(world, AdmissionMetrics())
    folder.serve(hub)
    return await hub.pod_of("agents", name, "u", proven(pod=name, uid="u"))


async def test_a_pod_is_there_from_its_first_hello(tmp_path, folder, world) -> None:
    write(tmp_path, "a.yaml", named(POLICY, "mine", agent_policy({"app": "triage"}, "github")))
    assert folder.look()
    assert not folder.look()
    pod = await arrived(folder, world)
    assert pod.labels == (("app", "triage"),)
    assert [one.key.name for one in compiled(world, pod).documents] == ["mine"]


async def test_a_pod_in_a_file_says_which_labels_it_has(tmp_path, folder, world) -> None:
    described = {**POD, "metadata": {"name": "triage-1", "namespace": "agents", "labels": {"a": "b"}}}
    write(tmp_path, "a.yaml", described)
    folder.look()
    pod = await arrived(folder, world)
    assert pod.labels == (("a", "b"),)
    described["metadata"] = {"name": "triage-1", "namespace": "agents", "labels": {"a": "c"}}
    write(tmp_path, "a.yaml", described, named(SERVICE, "x", {"selector": {"a": "c"}}))
    folder.look()
    assert world.cohorts.pods["agents", "triage-1"].labels == (("a", "c"),)
    assert world.accounts("agents", "x") == {"triage"}
    (tmp_path / "a.yaml").unlink()
    folder.look()
    assert world.accounts("agents", "x") is None


def test_what_changes_is_taken_in_and_what_goes_is_gone(tmp_path, folder, world) -> None:
    write(tmp_path, "a.yaml", named(POLICY, "mine", agent_policy()), named(BACKEND, "github", backend()))
    folder.look()
    assert {str(key) for key in world.entries} == {
        "AgentPolicy.outrider.dev/agents/mine",
        "Backend.outrider.dev/agents/github",
    }
    before = {entry.meta.generation for entry in world.entries.values()}
    write(tmp_path, "a.yaml", named(POLICY, "mine", agent_policy(None, "github")))
    folder.look()
    (entry,) = world.entries.values()
    assert entry.meta.generation not in before
    again = empty_world()
    Folder(tmp_path, again, print).look()
    assert [one.meta for one in again.entries.values()] == [entry.meta]
    (tmp_path / "a.yaml").unlink()
    folder.look()
    assert world.entries == {}


@pytest.mark.parametrize("text", ["{", "- 3\n", "kind: X\nmetadata: {name: x}\n", "a: 3\n", "&a [*a]\n"])
def test_a_file_that_cannot_be_read_leaves_what_it_said_last(tmp_path, folder, world, log, text) -> None:
    write(tmp_path, "a.yaml", named(POLICY, "mine", agent_policy()))
    folder.look()
    (tmp_path / "a.yaml").write_text(text)
    folder.look()
    assert len(world.entries) == 1
    assert [one["event"] for one in log] == ["documents_unreadable"]


def test_a_document_with_a_mistake_leaves_the_one_before_in_force_and_is_told(
    tmp_path, folder, world, log
) -> None:
    write(tmp_path, "a.yaml", named(POLICY, "mine", agent_policy()))
    folder.look()
    (before,) = world.entries.values()
    assert log == []
    write(tmp_path, "a.yaml", named(POLICY, "mine", {"selectr": {}}))
    folder.look()
    (entry,) = world.entries.values()
    assert entry.document == before.document
    (told,) = log
    assert (told["event"], told["object"]) == ("object_refused", "AgentPolicy agents/mine")
    assert told["in_force"] == "last valid"
    assert any("selectr" in error for error in told["errors"])


def test_other_files_are_left_alone(tmp_path, folder, world) -> None:
    (tmp_path / "notes.txt").write_text("{")
    (tmp_path / "more").mkdir()
    assert not folder.look()
    assert world.entries == {}


def test_a_folder_is_needed(tmp_path, capsys) -> None:
    needed = ["--trust-domain=a.example", "--issuer=x", "--issuer-keys=x", "--serving=x"]
    with pytest.raises(SystemExit):
        main([*needed, f"--documents={tmp_path / 'missing'}"])
    assert "no folder" in capsys.readouterr().err


async def test_a_process_serves_sidecars_on_one_machine(tmp_path) -> None:
    issuer = TokenIssuer(WallClock())
    keys = {"keys": [jwk_of(issuer.key.public_key(), kid="k1")]}
    (tmp_path / "issuer.json").write_bytes(msgspec.json.encode(keys))
    documents = tmp_path / "documents"
    documents.mkdir()
    write(documents, "a.yaml", named(POLICY, "mine", agent_policy(), "elsewhere"))
    command = [sys.executable, "-m", "webhook.distribution", f"--documents={documents}"]
    command += ["--trust-domain=a.example", "--listen=127.0.0.1:0", f"--issuer={ISSUER}"]
    command += [f"--audience={AUDIENCE}", f"--issuer-keys={tmp_path / 'issuer.json'}"]
    command += [f"--serving={tmp_path / 'serving'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:  # noqa: ASYNC220
        try:
            ready = json.loads(running.stdout.readline())
            tls = ssl.create_default_context(cafile=str(tmp_path / "serving" / ROOT_FILE))
            headers = {"Authorization": f"Bearer {issuer.token()}"}
            connector = aiohttp.TCPConnector(ssl=tls)
            async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
                sidecar = Sidecar(ready["url"] + CONFIGURATION_PATH, session, "")
                claims = issuer.claims()["kubernetes.io"]
                pod = claims["pod"]
                status = await sidecar.connect(pod["name"], pod["uid"], claims["namespace"])
                assert status == 200, await sidecar.refusal()
                first = await sidecar.configuration()
                assert first.labels == {"app": claims["serviceaccount"]["name"]}
                policy = named(POLICY, "mine", agent_policy(), claims["namespace"])
                write(documents, "a.yaml", policy)
                second = await sidecar.configuration()
                assert [one["metadata"]["name"] for one in second.documents] == ["mine"]
                running.send_signal(signal.SIGTERM)
                await sidecar.ended()
            assert running.wait(20) == 0
        finally:
            running.kill()
