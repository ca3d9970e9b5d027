from __future__ import annotations

from typing import Any

import pytest

from webhook.admission.bounds import excessive
from webhook.admission.outcome import Refusal
from webhook.admission.review import admit


def pod(spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata, "spec": spec or {"containers": [{"name": "a"}]}}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (pod(annotations={"a": "x" * 300_000}), "annotations of 300001 bytes, at most 262144"),
        (pod(annotations={"outrider.dev/cpu": "9" * 20_000}), "annotation outrider.dev/cpu of 20016 bytes"),
        (pod({"containers": [{}] * 201}), "201 containers, at most 200"),
        (pod({"initContainers": [{}] * 201}), "201 initContainers"),
        (pod({"volumes": [{}] * 501}), "501 volumes, at most 500"),
        (pod({"containers": [{"env": [{}] * 1001}] * 2}), "2002 entries of env in all containers"),
        (pod({"containers": [{"ports": [{}] * 1001}]}), "1001 entries of ports"),
        (pod(finalizers=["x"] * 501), "501 finalizers, at most 500"),
    ],
)
def test_what_there_is_too_much_of_is_refused_by_counting(given, told, required, settings) -> None:
    outcome = admit({"uid": "u", "object": given}, required, settings)
    assert isinstance(outcome, Refusal)
    assert told in outcome.sentence


@pytest.mark.parametrize(
    "given",
    [
        {},
        pod(),
        pod(annotations={"outrider.dev/status": "s" * 20_000}),
        {"metadata": 3, "spec": "x"},
        {"metadata": {"annotations": [1]}, "spec": {"containers": {"a": 1}}},
        {"spec": {"containers": [None, {"env": "x"}]}},
    ],
)
def test_all_else_is_left_to_others(given) -> None:
    assert excessive(given) == []
