"""Annotations that narrow policies: their form, their layers, and how they reach the sidecar's environment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.reasons import Reason
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Outcome, Refusal
from webhook.admission.settings import InjectionSettings

LABELS = {"outrider.dev/injection": "enabled"}


def annotated(**values: str) -> dict[str, str]:
    return {f"outrider.dev/{name.replace('_', '-')}": value for name, value in values.items()}


def environment(outcome: Outcome) -> dict[str, Any]:
    """The variables of the sidecar that narrow, without their prefix; JSON as what it means."""
    assert isinstance(outcome, Injection), outcome
    sidecar = next(
        one
        for one in (*(outcome.pod["spec"]["initContainers"] or ()), *outcome.pod["spec"]["containers"])
        if one["name"] == "outrider-sidecar"
    )
    found = {one["name"]: one.get("value", "") for one in sidecar["env"] or ()}
    prefix = "OUTRIDER_NARROW_"
    return {
        name.removeprefix(prefix): json.loads(value) if value.startswith(("[", "{")) else value
        for name, value in found.items()
        if name.startswith(prefix)
    }


def status(outcome: Outcome, name: str) -> dict[str, str]:
    assert isinstance(outcome, Injection), outcome
    told: dict[str, str] = outcome.status["settings"][name]
    return told


def narrowed(
    pod: Any,
    mine: dict[str, str],
    around: dict[str, str] | None = None,
    platform: dict[str, str] | None = None,
    allow: tuple[str, ...] = (),
) -> Outcome:
    settings = InjectionSettings(defaults=platform or {}, allow=frozenset(allow))
    return inject(pod(annotations=mine), Namespace("agents", LABELS, around or {}), settings)


def test_without_annotations_the_sidecar_is_told_nothing(pod) -> None:
    outcome = narrowed(pod, {})
    assert environment(outcome) == {}
    assert not {"policy", "tools-allow", "tools-deny", "mode"} & outcome.status["settings"].keys()


def test_annotations_of_a_pod_reach_its_sidecar(pod) -> None:
    mine = annotated(
        policy="a, b", tools_allow="github/get_*,\n jira/*", tools_deny="*/*delete*", mode="enforce"
    )
    outcome = narrowed(pod, mine)
    assert environment(outcome) == {
        "POLICIES": ["a", "b"],
        "TOOLS_ALLOW": [["github/get_*", "jira/*"]],
        "TOOLS_DENY": ["*/*delete*"],
        "MODE": "enforce",
    }
    assert status(outcome, "policy") == {"value": "a, b", "layer": "pod"}
    assert status(outcome, "tools-allow") == {"value": "github/get_*, jira/*", "layer": "pod"}
    assert status(outcome, "mode") == {"value": "enforce", "layer": "pod"}


def test_layers_add_up_and_the_status_names_each(pod) -> None:
    mine = annotated(policy="a, b", tools_allow="github/*", tools_deny="*/x")
    around = annotated(policy="b, c", tools_allow="*/get_*", tools_deny="*/y, */x")
    platform = annotated(policy="c, b, a", tools_deny="*/z")
    outcome = narrowed(pod, mine, around, platform)
    assert environment(outcome) == {
        "POLICIES": ["b"],
        "TOOLS_ALLOW": [["github/*"], ["*/get_*"]],
        "TOOLS_DENY": ["*/x", "*/y", "*/z"],
    }
    assert status(outcome, "policy") == {"value": "b", "layer": "pod, namespace, platform"}
    assert status(outcome, "tools-allow") == {"value": "github/* & */get_*", "layer": "pod, namespace"}
    assert status(outcome, "tools-deny") == {"value": "*/x, */y, */z", "layer": "pod, namespace, platform"}


def test_what_a_namespace_says_holds_for_pods_that_say_nothing(pod) -> None:
    outcome = narrowed(pod, {}, annotated(tools_deny="*/x"), annotated(mode="enforce"))
    assert environment(outcome) == {"TOOLS_DENY": ["*/x"], "MODE": "enforce"}
    assert status(outcome, "tools-deny") == {"value": "*/x", "layer": "namespace"}


def test_layers_without_a_policy_in_common_are_refused(pod) -> None:
    refusal = narrowed(pod, annotated(policy="a", cpu="lots"), annotated(policy="b, c"))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.ANNOTATION_INVALID
    assert "'a' and 'b, c' (pod, namespace) have no policy in common" in refusal.sentence
    assert "is not a quantity" in refusal.sentence
    unread = narrowed(pod, annotated(policy="A"), annotated(policy="b, c"))
    assert isinstance(unread, Refusal)
    assert len(unread.problems) == 1


@pytest.mark.parametrize("around", [{}, annotated(mode="enforce")])
def test_observe_needs_the_platforms_leave(pod, around) -> None:
    refusal = narrowed(pod, annotated(mode="observe"), around)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.NOT_PERMITTED
    assert "allow: [mode=observe] would permit it" in refusal.sentence
    granted = narrowed(pod, annotated(mode="observe"), around, allow=("mode=observe",))
    assert environment(granted) == {}


def test_a_namespace_cannot_take_back_what_the_platform_enforces(pod) -> None:
    around, platform = annotated(mode="observe"), annotated(mode="enforce")
    refusal = narrowed(pod, {}, around, platform)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.NOT_PERMITTED
    assert environment(narrowed(pod, annotated(mode="enforce"), around, platform, ("mode=observe",))) == {
        "MODE": "enforce"
    }


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("policy", "", "has no entry"),
        ("policy", "A", "is no name"),
        ("policy", "*", "is no name"),
        ("tools-allow", "get_issue", "a Backend, a slash and a tool"),
        ("tools-allow", "", "has no entry"),
        ("tools-deny", "github/é*", "patterns match only names"),
        ("mode", "enforced", "is not a known value; allowed: enforce or observe"),
        ("mode", "", "is not a known value"),
    ],
)
def test_what_cannot_be_honoured_is_refused(pod, name, value, said) -> None:
    refusal = narrowed(pod, {f"outrider.dev/{name}": value})
    assert isinstance(refusal, Refusal)
    assert said in refusal.sentence
    around = narrowed(pod, {}, {f"outrider.dev/{name}": value})
    assert isinstance(around, Refusal)
    assert "of the namespace" in around.sentence


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("guardrails", "", "has no entry"),
        ("guardrails", "pii", '"pii": an entry is a detector and an action, like pii=mask or secrets=block'),
        ("guardrails", "pi=mask", '"pi" is no detector; allowed: pii, secrets, sql, injection'),
        ("guardrails", "external=block", '"external" is no detector'),
        ("guardrails", "pii=off", "an annotation only makes it stricter, and off would not"),
        ("guardrails", "pii=hide", '"hide" is no action; allowed: flag, mask, block'),
        ("guardrails", "sql=mask", "sql masks nothing, since a statement"),
        ("rate-limit", "", "has no entry"),
        ("rate-limit", "60", '"60" is no rate; allowed: like 10/s, 60/m or 1000/h'),
        ("rate-limit", "0/m", "is no rate"),
        ("rate-limit", "1000001/m", "up to 1000000"),
        ("rate-limit", "5/d", "is no rate"),
        ("rate-limit", "create_issue=5/m", "an entry is a Backend, a slash and a tool"),
        ("rate-limit", "github/**=5/m", "** is not a pattern"),
    ],
)
def test_what_says_nothing_of_content_or_rates_is_refused(pod, name, value, said) -> None:
    refusal = narrowed(pod, {f"outrider.dev/{name}": value})
    assert isinstance(refusal, Refusal)
    assert said in refusal.sentence


def test_every_wrong_entry_of_content_and_rates_is_told_at_once(pod) -> None:
    wrong = {"outrider.dev/guardrails": "pii=off, x=y, secrets=block", "outrider.dev/rate-limit": "a, 1/m, b"}
    refusal = narrowed(pod, wrong)
    assert isinstance(refusal, Refusal)
    assert all(f'"{entry}": ' in refusal.sentence for entry in ("pii=off", "x=y", "a", "b"))


def test_of_actions_in_several_layers_the_strictest_counts_and_of_rates_each(pod) -> None:
    mine = {
        "outrider.dev/guardrails": "pii=flag, secrets=block",
        "outrider.dev/rate-limit": "60/m, github/x=5/m",
    }
    around = {"outrider.dev/guardrails": "secrets=mask,pii=mask", "outrider.dev/rate-limit": "60/m, 1/s"}
    platform = {"outrider.dev/guardrails": "sql=block"}
    found = narrowed(pod, mine, around, platform)
    assert environment(found) == {
        "GUARDRAILS": {"pii": "mask", "secrets": "block", "sql": "block"},
        "RATES": ["60/m", "github/x=5/m", "1/s"],
    }
    assert status(found, "guardrails")["value"] == "pii=mask, secrets=block, sql=block"
    assert status(found, "guardrails")["layer"] == "pod, namespace, platform"
    assert status(found, "rate-limit")["value"] == "60/m, github/x=5/m, 1/s"


@pytest.mark.parametrize(
    "name", ["Outrider.dev/tools-deny", "outrider.dev/Tools-Deny", "OUTRIDER.DEV/policy"]
)
def test_a_name_in_capitals_is_another_name_and_refused(pod, name) -> None:
    refusal = narrowed(pod, {name: "*/*"})
    assert isinstance(refusal, Refusal)
    assert "is unknown; allowed: " in refusal.sentence


def test_of_many_faults_in_one_annotation_a_few_are_told(pod) -> None:
    refusal = narrowed(pod, annotated(tools_deny=",".join(f"{'x' * 100}{n}" for n in range(100))))
    assert isinstance(refusal, Refusal)
    assert "; and 95 more; allowed: globs" in refusal.sentence


def test_a_second_call_asks_the_annotations_again(pod) -> None:
    mine = annotated(policy="a", tools_allow="github/*", tools_deny="*/x", mode="enforce")
    first = narrowed(pod, mine)
    assert isinstance(first, Injection)
    where, settings = Namespace("agents", LABELS), InjectionSettings()
    assert inject(first.pod, where, settings).pod == first.pod
    # What another webhook writes into our container does not count, and what it annotates does.
    forged = json.loads(json.dumps(first.pod))
    sidecar = next(one for one in forged["spec"]["initContainers"] if one["name"] == "outrider-sidecar")
    sidecar["env"] = [{"name": "OUTRIDER_NARROW_TOOLS_DENY", "value": "[]"}]
    assert inject(forged, where, settings).pod == first.pod
    forged["metadata"]["annotations"]["outrider.dev/tools-deny"] = "*/y"
    assert environment(inject(forged, where, settings))["TOOLS_DENY"] == ["*/y"]


def test_nothing_that_a_pod_or_its_namespace_says_is_expanded_by_the_kubelet(pod) -> None:
    mine = annotated(tools_allow="a/$(HOME),a/$$(HOME),a/$", tools_deny="a/$(OUTRIDER_AGENT_LABELS)")
    labelled = pod(annotations=mine, labels={"app": "$(HTTP_PROXY)"})
    outcome = inject(labelled, Namespace("agents", LABELS), InjectionSettings())
    assert isinstance(outcome, Injection)
    for variable in outcome.pod["spec"]["initContainers"][0]["env"]:
        assert "$" not in variable.get("value", "").replace("$$", "")
    assert environment(outcome)["TOOLS_ALLOW"] == [["a/$(HOME)", "a/$$(HOME)", "a/$"]]
