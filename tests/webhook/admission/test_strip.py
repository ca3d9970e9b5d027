"""Taking out what injection added that bears no name of ours, as the status tells it."""

from __future__ import annotations

import json

import pytest

from webhook.admission.strip import is_injected, strip

STATUS = "outrider.dev/status"
DEFAULT = "kubectl.kubernetes.io/default-container"


def stripped(status, annotations=None, **spec):
    pod = {
        "metadata": {"annotations": {STATUS: status, **(annotations or {})}},
        "spec": {"containers": [{"name": "agent"}], **spec},
    }
    strip(pod)
    assert STATUS not in pod["metadata"]["annotations"]
    return pod


def test_pull_secrets_and_the_default_container_go_as_they_came() -> None:
    status = json.dumps({"added": {"defaultContainer": "agent", "pullSecrets": ["ours"]}, "version": "0.1.0"})
    pod = stripped(status, {DEFAULT: "agent"}, imagePullSecrets=[{"name": "own"}, {"name": "ours"}])
    assert pod["metadata"]["annotations"] == {}
    assert pod["spec"]["imagePullSecrets"] == [{"name": "own"}]
    assert "imagePullSecrets" not in stripped(status, imagePullSecrets=[{"name": "ours"}])["spec"]


def test_a_default_container_that_was_changed_since_stays() -> None:
    status = json.dumps({"added": {"defaultContainer": "agent"}})
    assert stripped(status, {DEFAULT: "other"})["metadata"]["annotations"] == {DEFAULT: "other"}


@pytest.mark.parametrize(
    "status", ["", "x", "3", "[]", '{"added": 3}', '{"added": {"pullSecrets": "own"}}', "\ud800"]
)
def test_a_status_that_is_none_takes_nothing_away(status) -> None:
    pod = stripped(status, {DEFAULT: "agent"}, imagePullSecrets=[{"name": "own"}])
    assert pod["metadata"]["annotations"] == {DEFAULT: "agent"}
    assert pod["spec"]["imagePullSecrets"] == [{"name": "own"}]


@pytest.mark.parametrize(
    ("metadata", "spec", "injected"),
    [
        ({}, {}, False),
        ({"labels": {"outrider.dev/injected": "true"}}, {}, True),
        ({}, {"initContainers": [{"name": "outrider-redirect"}]}, True),
        ({}, {"initContainers": [{"name": "outrider-sidecar"}]}, True),
        ({}, {"containers": [{"name": "outrider-sidecar"}, {"name": "agent"}]}, True),
    ],
)
def test_what_only_injection_adds_tells_an_injected_pod(metadata, spec, injected) -> None:
    assert (
        is_injected({"metadata": metadata, "spec": {"containers": [{"name": "agent"}], **spec}}) is injected
    )
