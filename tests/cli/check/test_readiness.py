"""Hints about sidecars that are not ready, by their state."""

from __future__ import annotations

import pytest

from cli.check.readiness import readiness_hint
from tests.support import outrider_cluster as cluster
from tests.support.outrider_cluster import changed

POD = cluster.injected_pod()


def with_status(**status: object) -> dict:
    base = {"name": "outrider-sidecar", "ready": False}
    return changed(POD, "status/initContainerStatuses/0", {**base, **status})


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"state": {"waiting": {"reason": "ErrImagePull"}}}, "imagePullSecrets"),
        (
            {"state": {"waiting": {"reason": "CreateContainerConfigError"}}},
            "`kubectl -n agents describe pod triage` says what is missing.",
        ),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 2}},
            },
            "mostly policies: `kubectl -n agents logs triage -c outrider-sidecar --previous`",
        ),
        ({"lastState": {"terminated": {"exitCode": 137}}}, "--previous` says why it ended."),
        ({"state": {"running": {}}}, "`outrider describe pod triage -n agents` says what it waits for"),
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, "It has not started"),
    ],
)
def test_the_hint_is_for_the_state(status, words) -> None:
    assert words in readiness_hint("agents", [with_status(**status)])


def test_each_state_is_told_once() -> None:
    running = with_status(state={"running": {}})
    said = readiness_hint("agents", [running, running, with_status(state={})])
    assert said.count("describe pod triage") == 2
