from __future__ import annotations

import base64
import json

import jsonpatch
import pytest

from mesh.reasons import Reason
from webhook.admission.outcome import Namespace
from webhook.admission.review import (
    ReviewMalformed,
    admit,
    answer,
    concerns,
    read_review,
    unknown_namespace,
    untouched,
)


def review(**request):
    request = {
        "uid": "u-1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": "agents",
        "object": {"metadata": {"generateName": "triage-"}, "spec": {"containers": [{"name": "agent"}]}},
        **request,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def test_an_injection_is_answered_with_a_patch_that_leads_to_it(enabled, settings) -> None:
    request = read_review(json.dumps(review()).encode())
    outcome = admit(request, enabled, settings)
    given = answer(request, outcome)
    response = given.reply["response"]
    assert given.reply["apiVersion"] == "admission.k8s.io/v1"
    assert (response["uid"], response["allowed"], response["patchType"]) == ("u-1", True, "JSONPatch")
    patch = json.loads(base64.b64decode(response["patch"], validate=True))
    assert jsonpatch.apply_patch(request["object"], patch) == outcome.pod
    assert response["auditAnnotations"] == {"decision": "injected", "reason": "injected", "version": "0.1.0"}
    assert (given.result, given.reason) == ("injected", Reason.INJECTED)


def test_a_second_review_of_the_same_pod_has_no_patch(enabled, settings) -> None:
    request = read_review(json.dumps(review()).encode())
    injected = admit(request, enabled, settings).pod
    again = read_review(json.dumps(review(object=injected)).encode())
    response = answer(again, admit(again, enabled, settings)).reply["response"]
    assert response["allowed"] is True
    assert "patch" not in response
    assert "patchType" not in response


def test_a_refusal_is_answered_with_a_sentence_and_its_reason(required, settings) -> None:
    pod = {"metadata": {}, "spec": {"containers": [{"name": "a"}], "hostNetwork": True}}
    request = read_review(json.dumps(review(object=pod)).encode())
    given = answer(request, admit(request, required, settings))
    response = given.reply["response"]
    assert response["allowed"] is False
    assert response["status"]["code"] == 403
    assert response["status"]["message"].startswith("outrider refuses this pod (host_network): The pod uses")
    assert response["auditAnnotations"]["decision"] == "refused"


def test_a_skip_that_somebody_might_not_expect_is_warned_of(enabled, settings) -> None:
    pod = {"metadata": {}, "spec": {"containers": [{"name": "a"}], "hostNetwork": True}}
    request = read_review(json.dumps(review(object=pod)).encode())
    response = answer(request, admit(request, enabled, settings)).reply["response"]
    assert response["allowed"] is True
    assert response["warnings"] == ["outrider: no sidecar (host_network)"]


def test_an_expected_skip_is_silent(settings) -> None:
    request = read_review(json.dumps(review()).encode())
    response = answer(request, admit(request, Namespace("agents"), settings)).reply["response"]
    assert response["allowed"] is True
    assert set(response) == {"uid", "allowed", "auditAnnotations"}


def test_warnings_reach_the_author_and_fit_the_bound(enabled, settings) -> None:
    env = [{"name": "NO_PROXY", "value": "a" * 300}]
    pod = {"metadata": {}, "spec": {"containers": [{"name": "a", "env": env}]}}
    request = read_review(json.dumps(review(object=pod)).encode())
    (warning,) = answer(request, admit(request, enabled, settings)).reply["response"]["warnings"]
    assert warning.startswith("outrider: container a: NO_PROXY leads past the sidecar")
    assert len(warning) <= 120


def test_a_dry_run_gets_the_same_answer_and_is_counted_apart(enabled, settings) -> None:
    real, dry = (read_review(json.dumps(review(dryRun=flag)).encode()) for flag in (False, True))
    one, other = answer(real, admit(real, enabled, settings)), answer(dry, admit(dry, enabled, settings))
    assert one.reply == other.reply
    assert (one.result, other.result) == ("injected", "dry_run")


def test_an_unknown_namespace_is_refused(enabled) -> None:
    request = read_review(json.dumps(review()).encode())
    response = answer(request, unknown_namespace("namespace agents: connection refused")).reply["response"]
    assert response["allowed"] is False
    assert "namespace agents: connection refused: The labels" in response["status"]["message"]


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "UPDATE"},
        {"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}},
        {"kind": {"group": "other.dev", "version": "v1", "kind": "Pod"}},
        {"subResource": "ephemeralcontainers"},
        {"operation": "UPDATE", "subResource": "status"},
    ],
)
def test_only_the_creation_of_pods_and_the_adding_of_containers_are_looked_at(request_) -> None:
    request = read_review(json.dumps(review(**request_)).encode())
    assert not concerns(request)
    assert answer(request, untouched()).reply["response"]["allowed"] is True


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":1,"a":2}', "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "is no AdmissionReview: Expected `object`, got `array`"),
        (b"{}", "not None of None"),
        (json.dumps({**review(), "apiVersion": "admission.k8s.io/v1beta1"}).encode(), "v1beta1"),
        (b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', "no request with a uid"),
        (json.dumps(review(uid="")).encode(), "no request with a uid"),
        (json.dumps(review(uid=7)).encode(), "Expected `str`, got `int` - at `$.request.uid`"),
        (json.dumps(review(object=[])).encode(), "at `$.request.object`"),
    ],
)
def test_what_is_no_review_is_told_apart_with_a_sentence(body, told) -> None:
    with pytest.raises(ReviewMalformed, match=r"^The .*\.$") as caught:
        read_review(body)
    assert told in str(caught.value)
