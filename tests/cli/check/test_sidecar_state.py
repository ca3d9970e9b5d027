"""What sidecars say of their configuration, read back."""

from __future__ import annotations

import json

import pytest

from cli.check.sidecar_state import ASKED, Configured, configured, read_states, telemetry_port
from cli.cluster.answers import Denied
from cli.cluster.failures import ClusterUnavailable
from tests.support import outrider_cluster as cluster
from tests.support.outrider_cluster import changed

POD = cluster.injected_pod()
FINE = json.dumps({"configuration": {"source": "stream", "version": "a", "connected": True}})


class Pods:
    """An API server that answers for pods in turn; the last answer goes on."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.asked = list(answers), []

    def through(self, path: str) -> str:
        self.asked.append(path)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def named(count: int) -> list[dict]:
    return [changed(POD, "metadata/name", f"pod-{index}") for index in range(count)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"source": "files"}, Configured("files")),
        (
            {"source": "saved", "version": "a", "connected": False, "problem": "nobody answers."},
            Configured("saved", "a", False, "nobody answers"),
        ),
        (
            {
                "source": "stream",
                "refusal": {"version": "b", "reason": "configuration_invalid", "detail": "x."},
            },
            Configured("stream", refused="b: configuration_invalid: x"),
        ),
        ({"source": "stream", "refusal": {}, "connected": 1, "problem": 7}, Configured("stream")),
        ({"source": 7}, None),
        ([], None),
        (None, None),
    ],
)
def test_what_readyz_says_is_read(said, expected) -> None:
    assert configured(json.dumps({"ready": False, "configuration": said})) == expected


@pytest.mark.parametrize("text", ["", "alive\n", "[]", "[" * 100_000])
def test_what_is_no_such_answer_says_nothing(text) -> None:
    assert configured(text) is None


def test_sidecars_are_asked_at_their_port_of_telemetry() -> None:
    assert telemetry_port(POD) == "15020"
    assert telemetry_port(cluster.bare_pod()) == "15020"
    api = Pods(FINE)
    assert read_states(api, "agents", [POD]).by_pod == {"triage": Configured("stream", "a", True)}
    assert api.asked == ["/api/v1/namespaces/agents/pods/triage:15020/proxy/readyz"]


def test_only_sidecars_that_run_are_asked_and_not_all_of_many() -> None:
    waiting = changed(POD, "status/initContainerStatuses/0/state", {"waiting": {}})
    leaving = changed(POD, "metadata/deletionTimestamp", "2026-06-01T11:00:00Z")
    api = Pods(FINE)
    states = read_states(api, "agents", [waiting, leaving, cluster.bare_pod(), *named(ASKED + 5)])
    assert len(states.by_pod) == len(api.asked) == ASKED


def test_who_may_not_ask_asks_once() -> None:
    api = Pods(Denied(403, "pods/proxy is forbidden"))
    assert read_states(api, "agents", named(3)).unread == "pods/proxy is forbidden (403)"
    assert len(api.asked) == 1


def test_a_pod_that_cannot_be_reached_keeps_nobody_from_the_next() -> None:
    states = read_states(Pods(Denied(503, "no route"), FINE), "agents", named(2))
    assert (list(states.by_pod), states.unread) == (["pod-1"], "no route (503)")


def test_where_pods_do_not_answer_in_time_nobody_waits_for_each() -> None:
    api = Pods(ClusterUnavailable("It does not answer.", "Wait."))
    assert read_states(api, "agents", named(3)).unread == "It does not answer"
    assert len(api.asked) == 1
