"""The demo on a cluster, against an API server that plays along, is late, or refuses."""

from __future__ import annotations

import argparse
import io
import json
from typing import Any

import pytest
from rich.console import Console

from cli.cluster.answers import Denied, Obj
from cli.cluster.connect import Connection
from cli.cluster.failures import ClusterUnavailable
from cli.demo import cluster
from cli.demo.cluster_objects import EVERYTHING
from cli.demo.screen import Screen
from cli.platform_settings import Installed
from webhook.admission.settings import InjectionSettings

SVID = json.dumps({"event": "identity", "spiffe_id": "spiffe://td/ns/{0}/sa/tickets", "not_after": ""})


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeApi:
    """Enough of an API server, with a control plane that takes `late` seconds."""

    server = "https://api.test"

    def __init__(self, time: Time, late: float = 0.1) -> None:
        self.time, self.late = time, late
        self.objects: dict[str, Obj] = {}
        self.refuses = self.interrupts = ""
        self.keeps = False
        self.told: list[tuple[float, list[str]]] = []
        self.condition = "True"

    def get(self, path: str, **_: str) -> Obj:
        if path not in self.objects:
            raise Denied(404, f"{path} not found")
        return self.objects[path]

    def text(self, path: str, **query: str) -> str:
        space = path.split("/")[4]
        if query["container"] == "outrider-sidecar":
            return SVID.replace("{0}", space)
        if "/tickets/" in path:
            return ""
        allowed = [tools for at, tools in self.told if at + self.late <= self.time.now]
        tools = allowed[-1] if allowed else []
        refused = "" if "delete_ticket" in tools else "Unknown tool: delete_ticket"
        return "not JSON\n" + json.dumps({"tools": tools, "listing": "", "refused": refused}) + "\n"

    def _request(self, method: str, path: str, query: dict[str, str], body: Obj | None) -> bytes:
        if method == "DELETE":
            self._delete(path)
            return b"{}"
        assert body is not None
        if self.refuses and self.refuses == body["kind"]:
            raise Denied(403, "no")
        if self.interrupts == body["kind"]:
            raise KeyboardInterrupt
        metadata = dict(body["metadata"])
        stored = {**body, "metadata": metadata}
        if body["kind"] == "Pod":
            stored["status"] = {
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"restartCount": 0}],
            }
        if body["kind"] == "AgentPolicy" and metadata["name"] == "triage":
            self._policy(stored, body)
        self.objects[path if method == "PUT" else f"{path}/{metadata['name']}"] = stored
        return b"{}"

    def _policy(self, stored: Obj, body: Obj) -> None:
        self.told.append((self.time.now, body["spec"]["outbound"][0]["tools"]["allow"]))
        stored["metadata"]["generation"] = len(self.told)
        stored["status"] = {
            "conditions": [
                {"type": one, "status": self.condition, "reason": one, "observedGeneration": len(self.told)}
                for one in ("Accepted", "Applied")
            ]
        }

    def _delete(self, path: str) -> None:
        if not self.keeps:
            space = path.rpartition("/")[2]
            self.objects = {key: one for key, one in self.objects.items() if space not in key}


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def api(time, monkeypatch) -> FakeApi:
    monkeypatch.setattr(cluster, "_image", lambda _: "outrider/sidecar")
    return FakeApi(time)


def played(api: FakeApi, time: Time) -> tuple[int, str]:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=100))
    options = argparse.Namespace(namespace_prefix="demo")
    connection: Any = Connection(api, "default")  # type: ignore[arg-type]
    return cluster.play(connection, options, screen, time.clock, time.sleep), out.getvalue()


def test_every_statement_holds_and_nothing_is_left(api, time) -> None:
    code, said = played(api, time)
    assert code == 0, said
    assert "All 9 statements held." in said
    assert not api.objects
    assert [tools for _, tools in api.told][1] == list(EVERYTHING)


def test_a_change_that_takes_longer_than_a_second_does_not_hold(api, time) -> None:
    api.late = 3.0
    code, said = played(api, time)
    assert code == 1
    assert "statements did not hold" in said
    assert not api.objects


@pytest.mark.parametrize("kind", ["Namespace", "Pod", "AgentPolicy"])
def test_what_is_refused_is_told_and_cleaned_up(api, time, kind) -> None:
    api.refuses = kind
    code, said = played(api, time)
    assert code == 1
    assert f"{kind} " in said
    assert "is refused: no (403)" in said
    assert "the right to make namespaces" in " ".join(said.split())
    assert not api.objects


def test_a_change_that_never_arrives_is_given_up(api, time) -> None:
    api.late = 1000.0
    code, said = played(api, time)
    assert code == 1
    assert "The agent sees no tool within 120 seconds" in said
    assert not api.objects


def test_conditions_that_are_not_true_are_given_up(api, time) -> None:
    api.condition = "False"
    code, said = played(api, time)
    assert code == 1
    assert "not Accepted and Applied" in said


def test_a_stopped_demo_leaves_nothing(api, time) -> None:
    api.interrupts = "Service"
    code, _ = played(api, time)
    assert code == 130
    assert not api.objects


def test_namespaces_that_stay_are_told(api, time, capsys) -> None:
    api.keeps = True
    code, _ = played(api, time)
    assert code == 1
    assert "kubectl delete namespace" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        (
            Installed(InjectionSettings(), "o", "Outrider is not installed", absent=True),
            "Outrider is not installed",
        ),
        (Installed(InjectionSettings(), "o"), "without its control plane"),
    ],
)
def test_without_outrider_there_is_a_hint(installed, words, monkeypatch, time) -> None:
    monkeypatch.setattr(cluster, "read_installed", lambda _: installed)
    with pytest.raises(ClusterUnavailable, match=words):
        played(FakeApi(time), time)
