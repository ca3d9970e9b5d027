"""What replicas of the control plane say of why they are not ready."""

from __future__ import annotations

from cli.check.rollout import read_unready
from cli.cluster.answers import Denied
from cli.cluster.failures import ClusterUnavailable

PATH = "/api/v1/namespaces/mesh/pods/{}:{}/proxy/readyz"


def pod(name: str, *, ready: bool = False, port: int | None = None, state: str = "running") -> dict:
    ports = [] if port is None else [{"name": "telemetry", "containerPort": port}]
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "webhook", "ports": ports}]},
        "status": {
            "containerStatuses": [{"state": {state: {}}}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


class Pods:
    """An API server that answers for pods; what is an exception is raised."""

    def __init__(self, **answers: str | Exception) -> None:
        self.answers, self.asked = answers, []

    def through(self, path: str) -> str:
        self.asked.append(path)
        answer = self.answers[path.split("/")[6].partition(":")[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_each_that_runs_and_is_not_ready_is_asked_at_its_port() -> None:
    api = Pods(a="no certificate yet\nnot synced.\n", b="ok\n")
    pods = [pod("a", port=9000), pod("b"), pod("fine", ready=True), pod("pulls", state="waiting")]
    assert read_unready(api, "mesh", pods) == {"a": "no certificate yet; not synced"}
    assert api.asked == [PATH.format("a", 9000), PATH.format("b", 15020)]


def test_who_may_not_ask_gets_nothing() -> None:
    api = Pods(a=Denied(403, "forbidden"), b="draining\n")
    assert read_unready(api, "mesh", [pod("a"), pod("b")]) == {"b": "draining"}


def test_an_api_server_that_does_not_answer_is_not_asked_again() -> None:
    api = Pods(a=ClusterUnavailable("It is slow.", "Wait."), b="draining\n")
    assert read_unready(api, "mesh", [pod("a"), pod("b")]) == {}
    assert len(api.asked) == 1
