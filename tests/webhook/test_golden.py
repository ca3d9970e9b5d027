"""Golden files of injection, by the command line and by the webhook: golden/README.md says how they work."""

from __future__ import annotations

import base64
import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonpatch
import kubernetes_validate
import pytest
from kubernetes_validate import utils

from cli.inject import namespaces_in
from cli.kubernetes_yaml import dump
from cli.main import main
from cli.manifests import Manifest, read_manifests
from cli.workloads import Workload, objects, transform
from tests.support import json_patch
from webhook.admission.outcome import Namespace
from webhook.admission.review import admit, answer, read_review
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import parse_settings

FOLDER = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in FOLDER.glob("*.in.yaml"))
SETTINGS = "GoldenSettings"
OLDEST = "1.29"


@dataclass(frozen=True)
class Golden:
    """One case: its manifests without the settings, as values and as text."""

    name: str
    since: str
    settings_text: str
    manifests: list[Manifest]

    @property
    def settings(self) -> InjectionSettings:
        return parse_settings(self.settings_text, "settings.yaml").injection

    @property
    def text(self) -> str:
        return "---\n".join(manifest.text for manifest in self.manifests)

    def expected(self, suffix: str) -> Path:
        return FOLDER / f"{self.name}.{suffix}"


def golden(name: str) -> Golden:
    path = FOLDER / f"{name}.in.yaml"
    manifests = read_manifests(path.read_text(encoding="utf-8"), path.name)
    head: dict[str, Any] = {}
    if manifests[0].value.get("kind") == SETTINGS:
        head, *manifests = manifests[0].value, *manifests[1:]
    return Golden(name, head.get("since", OLDEST), dump(head.get("settings") or {}), manifests)


@dataclass(frozen=True)
class Webhook:
    """The webhook in place of the command: its answers, and the documents with the patches applied."""

    answers: list[tuple[str, dict[str, Any]]]
    documents: list[Any]


def ask_webhook(case: Golden) -> Webhook:
    known = namespaces_in(case.manifests)
    answers: list[tuple[str, dict[str, Any]]] = []

    def create(workload: Workload) -> Any:
        where = workload.namespace or "default"
        response = reviewed(workload.pod, known.get(where, Namespace(where)), case.settings)
        answers.append((f"{workload.kind} {where}/{workload.name}", response))
        return patched(workload.pod, response) if "patch" in response else None

    return Webhook(answers, [transform(manifest.value, create) for manifest in case.manifests])


def reviewed(pod: Any, namespace: Namespace, settings: InjectionSettings) -> dict[str, Any]:
    request = {
        "uid": "u",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": namespace.name,
        "object": pod,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    read = read_review(json.dumps(review).encode())
    response: Any = answer(read, admit(read, namespace, settings)).reply["response"]
    return response


def patched(pod: Any, response: dict[str, Any]) -> Any:
    patch = json.loads(base64.b64decode(response["patch"], validate=True))
    became = json_patch.apply(patch, pod)
    assert jsonpatch.apply_patch(pod, patch) == became
    return became


def told(webhook: Webhook) -> str:
    lines = []
    for whose, response in webhook.answers:
        denied = "" if response["allowed"] else f"denied: {response['status']['message']}"
        said = [denied or "allowed", *(f"warning: {warning}" for warning in response.get("warnings", []))]
        lines += [f"webhook: {whose}: {line}\n" for line in said]
    return "".join(lines)


def canonical(documents: list[Any]) -> bytes:
    return json.dumps(documents, sort_keys=True, ensure_ascii=False).encode()


def expect(path: Path, actual: str) -> None:
    if os.environ.get("OUTRIDER_REGENERATE"):
        path.write_text(actual, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == actual


def run(case: Golden, text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The command on `text`: its exit code, what it writes and what it reports."""
    (folder / "settings.yaml").write_text(case.settings_text, encoding="utf-8")
    (folder / "pods.yaml").write_text(text, encoding="utf-8")
    code = main(["inject", "-f", "pods.yaml", "--settings", "settings.yaml"])
    out, report = capsys.readouterr()
    return code, out, report


@pytest.mark.parametrize("name", CASES)
def test_pods_come_out_as_recorded(name, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    case = golden(name)
    code, out, report = run(case, case.text, tmp_path, capsys)
    expect(case.expected("out.yaml"), out)
    expect(case.expected("report"), f"{report}exit {code}\n{told(ask_webhook(case))}")


@pytest.mark.parametrize("name", CASES)
def test_the_webhook_and_the_command_give_the_same_bytes(name) -> None:
    case = golden(name)
    webhook = ask_webhook(case)
    out = case.expected("out.yaml").read_text(encoding="utf-8")
    if all(response["allowed"] for _, response in webhook.answers):
        written = [manifest.value for manifest in read_manifests(out, name)]
        assert canonical(webhook.documents) == canonical(written)
    else:
        assert out == ""


@pytest.mark.parametrize("name", CASES)
def test_injecting_the_output_again_changes_nothing(name, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    case = golden(name)
    out = case.expected("out.yaml").read_text(encoding="utf-8")
    if out:
        assert run(case, out, tmp_path, capsys)[:2] == (0, out)


# The whole set of schemas of a version is read for each object otherwise.
utils.schema_contents = functools.cache(utils.schema_contents)


def valid(document: Any, version: str) -> bool:
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", CASES)
def test_the_output_is_valid_for_the_oldest_and_the_newest_kubernetes(name) -> None:
    case = golden(name)
    out = case.expected("out.yaml").read_text(encoding="utf-8")
    for manifest in read_manifests(out, name) if case.since != "none" else ():
        for document in objects(manifest.value):
            for version in (case.since, kubernetes_validate.latest_version()):
                kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("name", [name for name in CASES if golden(name).since not in (OLDEST, "none")])
def test_a_golden_says_it_needs_a_newer_kubernetes_only_where_it_does(name) -> None:
    case = golden(name)
    written = read_manifests(case.expected("out.yaml").read_text(encoding="utf-8"), name)
    major, minor = case.since.split(".")
    older = f"{major}.{int(minor) - 1}"
    assert not all(valid(manifest.value, older) for manifest in written)


def test_every_file_belongs_to_a_case_and_every_case_has_its_files() -> None:
    wanted = {f"{name}.{suffix}" for name in CASES for suffix in ("in.yaml", "out.yaml", "report")}
    assert {path.name for path in FOLDER.iterdir()} == {*wanted, "README.md"}
    assert len(CASES) >= 60
