"""Whatever reaches the webhook: an answer that can be sent, or `ReviewMalformed`."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fuzzing import examples
from webhook.admission.judge_documents import judge
from webhook.admission.outcome import Namespace
from webhook.admission.review import ReviewMalformed, admit, answer, concerns, read_review, untouched
from webhook.admission.settings import InjectionSettings

POD = {
    "metadata": {"labels": {"a": "b"}, "annotations": {"outrider.dev/cpu": "1"}},
    "spec": {"containers": [{"name": "agent", "env": [{"name": "NO_PROXY", "value": "x"}]}], "volumes": None},
}
REQUEST = {
    "uid": "u",
    "kind": {"group": "", "version": "v1", "kind": "Pod"},
    "operation": "CREATE",
    "namespace": "agents",
    "object": POD,
}
SEED = json.dumps(
    {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": REQUEST}
).encode()
SPLICES = [
    b"",
    b"null",
    b"{}",
    b"[]",
    b'"x"',
    b"1",
    b"true",
    b'"name":',
    b"}",
    b"\xff",
    b'{"a":1,"a":2}',
    b"NaN",
]

FIELDS = [
    "outbound",
    "selector",
    "matchLabels",
    "backend",
    "tools",
    "allow",
    "host",
    "port",
    "a.yaml",
    "b.yml",
]

mutated = st.builds(
    lambda begin, length, splice: SEED[:begin] + splice + SEED[begin + length :],
    st.integers(0, len(SEED)),
    st.integers(0, 30),
    st.sampled_from(SPLICES),
)


@settings(max_examples=examples(300), deadline=None)
@given(mutated | st.binary(max_size=100))
def test_any_body_is_answered_or_told_to_be_malformed(body) -> None:
    try:
        request = read_review(body)
    except ReviewMalformed:
        return
    namespace = Namespace("agents", {"outrider.dev/injection": "required"})
    outcome = admit(request, namespace, InjectionSettings()) if concerns(request) else untouched()
    reply = msgspec.json.decode(msgspec.json.encode(answer(request, outcome).reply))
    assert reply["response"]["uid"] == request["uid"]
    assert ("status" in reply["response"]) is not reply["response"]["allowed"]


KINDS = {"AgentPolicy": "outrider.dev", "Backend": "outrider.dev", "ConfigMap": ""}
LABELLED = {"name": "c", "labels": {"outrider.dev/policies": "true"}}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=examples(150), deadline=None)
@given(st.sampled_from(sorted(KINDS)), anything, anything)
def test_any_document_is_taken_or_refused(kind, spec, data) -> None:
    version = "v1alpha1" if KINDS[kind] else "v1"
    document = {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": kind,
        "metadata": LABELLED,
        "spec": spec,
        "data": data,
    }
    asked = {"group": KINDS[kind], "version": version, "kind": kind}
    outcome = judge({"uid": "u", "kind": asked, "operation": "CREATE", "object": document})
    assert outcome.sentence
