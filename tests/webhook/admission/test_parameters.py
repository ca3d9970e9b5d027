from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.reasons import Reason
from mesh.settings.table import ANNOTATIONS, LOG_LEVEL
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Refusal
from webhook.admission.settings import InjectionSettings

ENABLED = {"outrider.dev/injection": "enabled"}


def test_the_strongest_layer_that_speaks_gives_each_value(pod) -> None:
    namespace = Namespace("agents", ENABLED, {"outrider.dev/memory": "128Mi", "outrider.dev/cpu": "60m"})
    settings = InjectionSettings(defaults={"outrider.dev/cpu": "70m", "outrider.dev/memory-limit": "512Mi"})
    injected = inject(pod(annotations={"outrider.dev/memory": "200Mi"}), namespace, settings)
    told = injected.status["settings"]
    assert told["memory"] == {"value": "200Mi", "layer": "pod"}
    assert told["cpu"] == {"value": "60m", "layer": "namespace"}
    assert told["memory-limit"] == {"value": "512Mi", "layer": "platform"}
    assert told["cpu-limit"] == {"value": "1", "layer": "default"}
    resources = injected.pod["spec"]["initContainers"][0]["resources"]
    assert resources == {
        "requests": {"cpu": "60m", "memory": "200Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("cpu", "lots", "is not a quantity; allowed: a positive CPU quantity"),
        ("memory", "64m", "is not a quantity; allowed: a positive memory quantity"),
        ("log-level", "debug", "is not a known value; allowed: info or warning"),
        ("capture", "transparant", "is not a known value; allowed: auto or transparent or explicit"),
        ("mtls", "off", "is not a known value; allowed: strict or permissive"),
        ("interception", "yes", "is not a known value; allowed: on or off"),
        ("exclude-inbound-ports", "80, http", "has what is no port number from 1 to 65535: http"),
        ("exclude-outbound-ports", "0,65536", "has what is no port number from 1 to 65535: 0, 65536"),
        ("exclude-outbound-cidrs", "10.0.0.1/8", "has what is no CIDR block such as"),
        ("exclude-outbound-cidrs", "0.0.0.0/1,128.0.0.0/1", "excludes every destination"),
        ("memory", "1Gi", "is above outrider.dev/memory-limit='256Mi' (default)"),
        ("cpu-limit", "10m", "is above outrider.dev/cpu-limit='10m' (pod)"),
        ("tols-allow", "*", "is unknown; allowed: capture, cpu, "),
        ("inject", "true", "is a pod label, and no annotation"),
        ("injection", "enabled", "is a namespace label, and no annotation"),
    ],
)
def test_an_annotation_that_cannot_be_honoured_is_refused_with_what_is_allowed(
    pod, enabled, settings, name, value, told
) -> None:
    refusal = inject(pod(annotations={f"outrider.dev/{name}": value}), enabled, settings)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.ANNOTATION_INVALID
    assert f"outrider.dev/{name}" in refusal.sentence or "cpu" in refusal.sentence
    assert told in refusal.sentence


def test_an_annotation_of_a_later_version_is_refused_and_never_ignored(
    pod, enabled, settings, monkeypatch
) -> None:
    later = replace(LOG_LEVEL, name="outrider.dev/later", supported=False)
    monkeypatch.setitem(ANNOTATIONS, later.name, later)
    refusal = inject(pod(annotations={later.name: "anything"}), enabled, settings)
    assert "is not supported by this version" in refusal.sentence


def test_all_annotation_errors_come_at_once(pod, settings) -> None:
    namespace = Namespace("agents", ENABLED, {"outrider.dev/cpu": "many", "team": "x"})
    annotations = {"outrider.dev/guardrails": "pii=maks", "outrider.dev/memory": "x", "other.dev/mode": "y"}
    refusal = inject(pod(annotations=annotations), namespace, settings)
    assert len(refusal.problems) == 3
    assert "of the namespace" in refusal.sentence


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"outrider.dev/mode": "observe"}, "is a annotation"),
        ({"outrider.dev/injct": "true"}, "is unknown; allowed: inject"),
    ],
)
def test_a_label_of_ours_that_is_misplaced_or_misspelt_is_refused(
    pod, enabled, settings, labels, told
) -> None:
    refusal = inject(pod(labels=labels), enabled, settings)
    assert told.replace("a annotation", "an annotation") in refusal.sentence


def test_a_namespace_label_that_nobody_knows_is_refused(pod, settings) -> None:
    namespace = Namespace("agents", {**ENABLED, "outrider.dev/inject": "true"})
    assert "is a pod label, and no namespace label" in inject(pod(), namespace, settings).sentence


def test_a_forged_status_is_replaced(pod, enabled, settings) -> None:
    forged = pod(labels={"outrider.dev/injected": "no"}, annotations={"outrider.dev/status": "{}"})
    injected = inject(forged, enabled, settings)
    assert isinstance(injected, Injection)
    assert injected.pod["metadata"]["labels"]["outrider.dev/injected"] == "true"
    assert '"version":"0.1.0"' in injected.pod["metadata"]["annotations"]["outrider.dev/status"]


@pytest.mark.parametrize(("level", "decisions"), [("info", "all"), ("warning", "refused")])
def test_the_log_level_says_which_decisions_are_logged(pod, enabled, settings, level, decisions) -> None:
    injected = inject(pod(annotations={"outrider.dev/log-level": level}), enabled, settings)
    env = injected.pod["spec"]["initContainers"][0]["env"]
    assert {"name": "OUTRIDER_LOG_DECISIONS", "value": decisions} in env
