"""Containers that are added to a running pod: `kubectl debug`."""

from __future__ import annotations

import json

import pytest

from mesh.reasons import Reason
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Namespace, Refusal
from webhook.admission.review import admit, answer, concerns, read_review
from webhook.admission.settings import InjectionSettings

PLAIN = {"name": "debugger", "image": "busybox:1"}
TIGHT = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}


@pytest.fixture
def running(pod, enabled):
    """A pod as injection left it, with `capture`."""

    def make(capture="transparent", settings=None):
        annotations = {"outrider.dev/capture": capture}
        outcome = inject(pod(annotations=annotations), enabled, settings or InjectionSettings())
        assert isinstance(outcome, Injection)
        return unshared(outcome.pod)

    return make


def request(before, *containers, old=True):
    after = unshared(before)
    after["spec"].setdefault("ephemeralContainers", []).extend(containers)
    return {
        "uid": "u-1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "UPDATE",
        "subResource": "ephemeralcontainers",
        "namespace": "agents",
        "object": after,
        **({"oldObject": before} if old else {}),
    }


def adding(before, *containers, namespace=None, settings=None, old=True):
    asked = request(before, *containers, old=old)
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
    read = read_review(json.dumps(review).encode())
    assert concerns(read)
    where = namespace or Namespace("agents", {"outrider.dev/injection": "enabled"})
    outcome = admit(read, where, settings or InjectionSettings())
    response = answer(read, outcome).reply["response"]
    assert "patch" not in response
    assert response["allowed"] is not isinstance(outcome, Refusal)
    return outcome


def reasons(outcome):
    assert isinstance(outcome, Refusal), outcome
    assert "container debugger" in outcome.sentence
    return [problem.reason for problem in outcome.problems]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"securityContext": {"runAsUser": 1774}}, Reason.SIDECAR_UID),
        ({"securityContext": {"runAsGroup": 1774}}, Reason.SIDECAR_GROUP),
        ({"securityContext": {"privileged": True}}, Reason.CAPTURE_UNDONE),
        ({"securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}}, Reason.CAPTURE_UNDONE),
        ({"securityContext": {"capabilities": {"add": ["SETUID"]}}}, Reason.CAPTURE_UNDONE),
        ({"targetContainerName": "outrider-sidecar"}, Reason.SIDECAR_JOINED),
        ({"targetContainerName": "outrider-redirect"}, Reason.SIDECAR_JOINED),
        (
            {"volumeMounts": [{"name": "outrider-identity", "mountPath": "/identity"}]},
            Reason.RESERVED_VOLUME,
        ),
    ],
)
def test_a_debugger_that_could_act_as_the_sidecar_or_undo_capture_is_refused(running, more, reason) -> None:
    told = reasons(adding(running(), {**PLAIN, **more}))
    assert [one for one in told if one is not Reason.NODE_REACHED] == [reason]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"securityContext": {"runAsUser": 1774}}, Reason.SIDECAR_UID),
        ({"targetContainerName": "outrider-sidecar"}, Reason.SIDECAR_JOINED),
        ({"securityContext": {"privileged": True}}, Reason.NODE_REACHED),
    ],
)
def test_under_explicit_capture_it_may_not_act_as_the_sidecar_either(running, more, reason) -> None:
    assert reasons(adding(running("explicit"), {**PLAIN, **more})) == [reason]


@pytest.mark.parametrize(
    ("capture", "more"),
    [
        ("transparent", {}),
        ("transparent", {"securityContext": TIGHT, "targetContainerName": "agent"}),
        ("transparent", {"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}),
        ("explicit", {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}),
    ],
)
def test_other_debuggers_may_run(running, capture, more) -> None:
    outcome = adding(running(capture), {**PLAIN, **more})
    assert outcome.reason is Reason.CONTAINERS_ADDED


def test_a_pod_without_a_sidecar_is_nobodys_business(pod) -> None:
    outcome = adding(pod(), {**PLAIN, "securityContext": {"privileged": True}})
    assert outcome.reason is Reason.CONTAINERS_ADDED


def test_what_was_there_before_is_not_held_against_the_new_one(running) -> None:
    before = running()
    before["spec"]["ephemeralContainers"] = [{"name": "earlier", "securityContext": {"privileged": True}}]
    assert adding(before, PLAIN).reason is Reason.CONTAINERS_ADDED
    assert isinstance(adding(before, PLAIN, old=False), Refusal)


def test_the_user_that_counts_is_the_one_of_the_pods_own_sidecar(running) -> None:
    before = running(settings=InjectionSettings(uid=2000))
    assert reasons(adding(before, {**PLAIN, "securityContext": {"runAsUser": 2000}})) == [Reason.SIDECAR_UID]


def test_forged_annotations_do_not_make_a_captured_pod_an_explicit_one(running) -> None:
    before = running()
    before["metadata"]["annotations"] = {"outrider.dev/status": '{"capture":"explicit"}'}
    refusal = adding(before, {**PLAIN, "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}})
    assert reasons(refusal) == [Reason.CAPTURE_UNDONE]


def test_where_all_containers_have_one_user_a_debugger_has_it_too(running) -> None:
    openshift = Namespace("agents", {}, {"openshift.io/sa.scc.uid-range": "1774/1"})
    added = {**PLAIN, "securityContext": {"runAsUser": 1774}}
    assert adding(running("explicit"), added, namespace=openshift).reason is Reason.CONTAINERS_ADDED


@pytest.mark.parametrize("broken", [{}, {"metadata": {}, "spec": {"containers": []}}, {"spec": 3}])
def test_what_is_no_pod_is_refused(running, broken) -> None:
    asked = {**request(running()), "object": broken}
    assert admit(asked, Namespace("agents"), InjectionSettings()).reason is Reason.POD_MALFORMED


@pytest.mark.parametrize("capture", ["transparent", "explicit"])
def test_the_user_that_the_sidecar_of_this_pod_has_counts_whatever_the_settings_say_by_now(
    running, capture
) -> None:
    before, settings = running(capture), InjectionSettings(uid=2000)
    as_sidecar = {**PLAIN, "securityContext": {**TIGHT, "runAsUser": 1774}}
    assert reasons(adding(before, as_sidecar, settings=settings)) == [Reason.SIDECAR_UID]
