"""Which workloads cannot create their pods, from the traces that Kubernetes leaves."""

from __future__ import annotations

import pytest

from cli.check.stuck import Stuck, stuck
from tests.support import outrider_cluster as cluster
from tests.support.outrider_cluster import changed

QUOTA = 'pods "triage-x" is forbidden: exceeded quota: none'
REFUSED = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": f"{QUOTA}.\n"}


def workload(kind: str, spec: dict, status: dict, **metadata: object) -> dict:
    return {"kind": kind, "metadata": {"name": "triage", **metadata}, "spec": spec, "status": status}


def event(kind: str, reason: str, time: str, message: str = QUOTA, **involved: str) -> dict:
    return {
        "reason": reason,
        "message": message,
        "lastTimestamp": time,
        "involvedObject": {"kind": kind, "name": "triage", **involved},
    }


SET = workload("StatefulSet", {"replicas": 2}, {"replicas": 1})
FAILED = event("StatefulSet", "FailedCreate", "2026-06-01T11:00:00Z")
CREATED = event("StatefulSet", "SuccessfulCreate", "2026-06-01T11:30:00Z")


def test_a_deployment_keeps_the_refusal_in_a_condition() -> None:
    found = stuck([changed(cluster.workload(), "status", {"conditions": [REFUSED]})], [])
    assert [str(one) for one in found] == [f"Deployment triage cannot create its pods: {QUOTA}"]


def test_a_replica_set_counts_as_its_deployment_and_each_is_told_once() -> None:
    owner = {"kind": "Deployment", "name": "triage", "controller": True}
    made = workload("ReplicaSet", {}, {"conditions": [REFUSED]}, ownerReferences=[owner])
    deployment = changed(cluster.workload(), "status", {"conditions": [REFUSED]})
    assert stuck([cluster.workload(), made], []) == (Stuck("Deployment", "triage", QUOTA),)
    assert stuck([deployment, made], []) == (Stuck("Deployment", "triage", QUOTA),)


def test_a_condition_that_is_over_says_nothing() -> None:
    over = {**REFUSED, "status": "False"}
    assert stuck([changed(cluster.workload(), "status", {"conditions": [over]})], []) == ()


@pytest.mark.parametrize(
    ("kind", "spec", "status", "found"),
    [
        ("StatefulSet", {}, {}, True),
        ("StatefulSet", {"replicas": 2}, {"replicas": 2}, False),
        ("DaemonSet", {}, {"desiredNumberScheduled": 3, "currentNumberScheduled": 2}, True),
        ("DaemonSet", {}, {"desiredNumberScheduled": 3, "currentNumberScheduled": 3}, False),
        ("Job", {}, {}, True),
        ("Job", {"suspend": True}, {}, False),
        ("Job", {"parallelism": 2}, {"active": 1}, True),
        ("Job", {}, {"active": 1}, False),
        ("Job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}, False),
    ],
)
def test_events_count_for_others_while_pods_are_lacking(kind, spec, status, found) -> None:
    told = [event(kind, "FailedCreate", "2026-06-01T11:00:00Z")]
    expected = (Stuck(kind, "triage", QUOTA),) if found else ()
    assert stuck([workload(kind, spec, status)], told) == expected


def test_a_later_success_takes_an_event_back() -> None:
    assert stuck([SET], [CREATED, FAILED]) == ()
    again = event("StatefulSet", "FailedCreate", "2026-06-01T11:45:00Z", "again")
    assert stuck([SET], [again, CREATED, FAILED]) == (Stuck("StatefulSet", "triage", "again"),)


@pytest.mark.parametrize(
    "other",
    [
        {**FAILED, "involvedObject": {"kind": "StatefulSet", "name": "other"}},
        {**FAILED, "involvedObject": {"kind": "Job", "name": "triage"}},
        {**FAILED, "involvedObject": {"kind": "StatefulSet", "name": "triage", "uid": "old"}},
        {**FAILED, "reason": "FailedMount"},
    ],
)
def test_events_about_others_do_not_count(other) -> None:
    assert stuck([changed(SET, "metadata/uid", "new")], [other]) == ()


@pytest.mark.parametrize("time", [{"eventTime": "2026-06-01T12:00:00Z"}, {"lastTimestamp": None}, {}])
def test_events_say_when_in_several_ways(time) -> None:
    bare = {key: value for key, value in FAILED.items() if key != "lastTimestamp"}
    assert stuck([SET], [{**bare, **time}]) == (Stuck("StatefulSet", "triage", QUOTA),)
