"""`outrider check` as people run it: over HTTP, as text and as JSON, with its exit codes."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cli.check import command
from cli.check.catalogue import checks
from cli.check.command import as_json, blocks, check, judge
from cli.check.read import read_cluster
from cli.check.result import State
from cli.check.sidecar_state import NO_STATES, Configured, States
from cli.cluster.connect import Connection, connect
from cli.cluster.failures import ClusterUnavailable
from cli.cluster.parts import Part
from cli.main import main
from cli.output.plain import render
from mesh.settings.table import VERSION
from tests.support import outrider_cluster as cluster
from tests.support.cluster_over_http import kubeconfig, serving
from tests.support.outrider_cluster import changed

GOLDENS = Path(__file__).parent / "goldens"
SICK = replace(
    cluster.healthy(),
    deployment=Part((changed(cluster.deployment(availableReplicas=0), "spec/replicas", 1),)),
    secret=Part((cluster.serving_secret(serving=cluster.leaf(-2)),)),
    nodes=Part(unread="nodes is forbidden (403)"),
)


def expect(name: str, actual: str) -> None:
    path = GOLDENS / name
    actual = actual.replace(VERSION, "VERSION")
    if os.environ.get("OUTRIDER_REGENERATE"):
        path.write_text(actual, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == actual


@pytest.mark.parametrize(
    ("name", "snapshot", "before"),
    [("healthy", cluster.healthy(), False), ("sick", SICK, False), ("before", cluster.empty(), True)],
)
def test_reports_are_as_recorded(name, snapshot, before) -> None:
    found = judge(snapshot, checks(before=before, namespace=not before), cluster.NOW)
    text = render(blocks(found))
    assert all(len(line) <= 80 for line in text.splitlines() if "docs/" not in line)
    expect(f"{name}.txt", text)
    expect(f"{name}.json", json.dumps(as_json(found), indent=2) + "\n")


def test_rows_that_are_not_well_bear_the_id_of_their_check() -> None:
    found = judge(SICK, checks(before=False, namespace=True), cluster.NOW)
    text = " ".join(render(blocks(found)).split())
    for one in found:
        assert (f"{one.result.state} [{one.check.id}] " in text) is (one.result.state is not State.OK)


def test_every_golden_is_used() -> None:
    assert {path.name for path in GOLDENS.iterdir()} == {
        f"{name}.{kind}" for name in ("healthy", "sick", "before") for kind in ("txt", "json")
    }


@pytest.fixture
def api():
    return cluster.over_http()


@pytest.fixture
def options(api, tmp_path):
    with serving(api) as url:
        yield ["--kubeconfig", str(kubeconfig(tmp_path, url))]


def test_a_cluster_that_is_well_is_read_whole(api, options, capsys, monkeypatch) -> None:
    monkeypatch.setattr(command, "datetime", _Clock)
    code = main(["check", "-n", "agents", "-o", "json", *options])
    report = json.loads(capsys.readouterr().out)
    assert [one for one in report["checks"] if one["state"] != "ok"] == []
    assert (code, report["fine"]) == (0, True)
    assert report["summary"]["ok"] == len(checks(before=False, namespace=True))
    (user,) = {review["spec"]["user"] for review in api.reviews}
    assert user == "system:serviceaccount:outrider-system:outrider-webhook"


class _Clock:
    @staticmethod
    def now(zone: object) -> object:
        return cluster.NOW


def test_before_installation_only_the_installer_is_asked_about(api, options, capsys) -> None:
    for path in list(api.lists):
        if "admissionregistration" in path:
            api.lists[path] = []
    api.objects = {"/version": api.objects["/version"]}
    assert main(["check", "--pre", *options]) == 0
    assert "you may create what the chart holds: all 16 rights" in capsys.readouterr().out
    assert {review["kind"] for review in api.reviews} == {"SelfSubjectAccessReview"}
    api.denied.add("clusterroles")
    assert main(["check", "--pre", *options]) == 1
    assert "you may not create clusterroles" in " ".join(capsys.readouterr().out.split())


def test_what_may_not_be_read_is_skipped_and_not_failed(api, options, capsys) -> None:
    for path in (*api.lists, *api.objects):
        if path != "/version":
            api.status[path] = 403
    for review in ("subjectaccessreviews", "selfsubjectaccessreviews"):
        api.status[f"/apis/authorization.k8s.io/v1/{review}"] = 403
    assert main(["check", "-n", "agents", "-o", "json", *options]) == 0
    states = {one["state"] for one in json.loads(capsys.readouterr().out)["checks"]}
    assert states == {"ok", "skipped"}


def test_whoever_may_see_one_namespace_gets_its_checks(api, options, capsys) -> None:
    api.status["/api/v1/namespaces"] = 403
    main(["check", "-n", "agents", "-o", "json", *options])
    found = {one["id"]: one["state"] for one in json.loads(capsys.readouterr().out)["checks"]}
    assert found["namespace-label"] == found["pods-injected"] == "ok"


def test_a_namespace_that_does_not_exist_ends_with_two(options, capsys) -> None:
    assert main(["check", "-n", "nope", *options]) == 2
    assert capsys.readouterr().err == (
        "outrider: There is no namespace nope.\n  Look at -n, and at `kubectl get namespaces`.\n"
    )


def test_what_a_sidecar_waits_for_is_read_from_its_log(api, options, capsys) -> None:
    pods = api.lists["/api/v1/namespaces/agents/pods"]
    pods[0] = changed(pods[0], "status/initContainerStatuses/0/ready", False)
    log = "/api/v1/namespaces/agents/pods/triage/log"
    api.texts[log] = cluster.LOG_LINES[1]
    assert main(["check", "-n", "agents", *options]) == 1
    assert "is running, not ready: identity: no identity issued" in " ".join(capsys.readouterr().out.split())
    api.status[log] = 403
    assert main(["check", "-n", "agents", *options]) == 1
    assert "no identity issued" not in capsys.readouterr().out


def test_the_install_namespace_is_where_the_webhooks_lead(api, options) -> None:
    real = connect(argparse.Namespace(kubeconfig=Path(options[1]), context=None, acting_as=None)).api
    assert read_cluster(real, None, None, before=False).namespace == cluster.SPACE
    assert read_cluster(real, "elsewhere", None, before=False).namespace == "elsewhere"
    api.lists = {}
    assert read_cluster(real, None, None, before=False).namespace == cluster.SPACE


def test_the_roots_of_the_control_plane_are_read_where_there_is_one(api, options) -> None:
    real = connect(argparse.Namespace(kubeconfig=Path(options[1]), context=None, acting_as=None)).api
    snapshot = read_cluster(real, None, "agents", before=False)
    assert snapshot.roots.one == cluster.roots()
    assert snapshot.data is not None
    assert snapshot.data.states == States({"triage": Configured("stream", "c0ffee", True)})
    settings = f"/api/v1/namespaces/{cluster.SPACE}/configmaps/outrider-webhook-settings"
    api.objects[settings] = {"data": {"settings.yaml": cluster.SETTINGS}}
    snapshot = read_cluster(real, None, "agents", before=False)
    assert snapshot.data is not None
    assert snapshot.data.states == NO_STATES


def test_what_the_secret_of_the_ca_holds_is_not_asked_for(api, options) -> None:
    path = f"/api/v1/namespaces/{cluster.SPACE}/secrets/outrider-ca"
    api.objects[path] = {**cluster.authority_secret(), "data": {"keyring.json": "a2V5"}}
    real = connect(argparse.Namespace(kubeconfig=Path(options[1]), context=None, acting_as=None)).api
    snapshot = read_cluster(real, None, "agents", before=False)
    assert snapshot.authority.one == cluster.authority_secret()
    asked = [headers["Accept"] for url, headers in zip(api.requests, api.headers, strict=True) if url == path]
    assert asked == ["application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"]


class _Recovering:
    """A cluster that gets well the third time that it is looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
        self.time, self.looked, self.looks = 0.0, 0, looks
        monkeypatch.setattr(command, "read_cluster", self._read)
        monkeypatch.setattr(command, "datetime", _Clock)

    def _read(self, *_: object, **__: object) -> object:
        self.looked += 1
        return cluster.healthy() if self.looked >= self.looks else SICK

    def unreachable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until it is well, nobody answers."""

        def read(*_: object, **__: object) -> object:
            self.looked += 1
            if self.looked < self.looks:
                raise ClusterUnavailable("It refuses connections.", "Wait.")
            return cluster.healthy()

        monkeypatch.setattr(command, "read_cluster", read)

    def clock(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.mark.parametrize(
    ("wait", "looks", "code", "looked"), [(0, 3, 1, 1), (10, 3, 0, 3), (10, 99, 1, 6), (3, 2, 0, 2)]
)
def test_waiting_looks_again_until_nothing_fails(monkeypatch, capsys, wait, looks, code, looked) -> None:
    cluster_ = _Recovering(monkeypatch, looks)
    connection = Connection(None, "default")  # type: ignore[arg-type]
    assert check(connection, waiting(wait), cluster_.clock, cluster_.sleep) == code
    assert cluster_.looked == looked
    assert ("What failed stands above" in capsys.readouterr().out) is bool(code)


def waiting(seconds: float) -> argparse.Namespace:
    return argparse.Namespace(
        wait=seconds, pre=False, namespace=None, install_namespace=None, output="text", kubeconfig=None
    )


def test_waiting_is_for_clusters_that_do_not_answer_yet_too(monkeypatch, capsys) -> None:
    cluster_ = _Recovering(monkeypatch, 3)
    cluster_.unreachable(monkeypatch)
    connection = Connection(None, "default")  # type: ignore[arg-type]
    assert check(connection, waiting(10), cluster_.clock, cluster_.sleep) == 0
    assert capsys.readouterr().out
    late = _Recovering(monkeypatch, 99)
    late.unreachable(monkeypatch)
    with pytest.raises(ClusterUnavailable):
        check(connection, waiting(10), late.clock, late.sleep)
    assert late.looked == 6


@pytest.mark.parametrize("seconds", ["-1", "x", "1e9", "nan"])
def test_a_time_to_wait_is_a_number_of_seconds(seconds, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", f"--wait={seconds}"])
    assert ended.value.code == 2
    assert "is not a number of seconds" in capsys.readouterr().err


def test_hints_stand_with_what_is_not_well_and_nowhere_else() -> None:
    report = as_json(judge(SICK, checks(before=False, namespace=False), cluster.NOW))
    for one in report["checks"]:
        assert ("hint" in one) is (one["state"] in (State.WARNING, State.FAILED))
        assert ("docs" in one) is ("hint" in one)


GONE = replace(
    cluster.healthy(),
    deployment=Part(),
    mutating=Part(),
    validating=Part(),
    settings=Part(),
    service=Part(),
    endpoint_slices=Part(),
    lease=Part(),
    secret=Part(),
    admission_policies=Part(),
)


def test_of_what_is_not_installed_only_that_is_told() -> None:
    found = judge(GONE, checks(before=False, namespace=True), cluster.NOW)
    failed = [one.check.id for one in found if one.result.state in (State.FAILED, State.WARNING)]
    assert failed == ["control-plane-installed"]
    text = render(blocks(found))
    assert "Outrider is not installed" in text
    assert "skipped  7 checks: Outrider is not installed" in text
    assert len(text.splitlines()) < 80
    behind = {one.check.id: one.result for one in found}["sidecar-settings"]
    assert behind.seen == ("the platform's settings cannot be read",)


def test_hints_have_the_names_that_are_meant() -> None:
    assert cluster.healthy().data is not None
    data = replace(cluster.healthy().data, network_policies=Part(), policies=Part())
    snapshot = replace(
        cluster.healthy(),
        data=data,
        settings=Part(({"data": {"settings.yaml": "policyConfigMap: my-policies"}},)),
    )
    found = {one.check.id: one for one in judge(snapshot, checks(before=False, namespace=True), cluster.NOW)}
    assert "outrider networkpolicy -n agents --live" in found["network-policy"].hint
    assert "`kubectl -n agents create configmap my-policies " in found["policies-present"].hint
    assert "outrider.dev/policies=true" in found["policies-present"].hint
    assert not [one for one in found.values() if "NAMESPACE" in one.hint]
