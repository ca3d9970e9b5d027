"""Why a pod is injected or not, from plain values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.check_inject.command import as_json, blocks
from cli.check_inject.explain import explain, labelled_at
from cli.check_inject.question import Question
from cli.cluster.parts import Part
from cli.output.plain import render
from cli.workloads import workloads_in
from tests.support import outrider_cluster as cluster
from tests.support.outrider_cluster import AGENTS, changed
from webhook.admission.outcome import Namespace
from webhook.admission.settings import InjectionSettings


def question(pod: dict, namespace: Namespace = AGENTS, **more: object) -> Question:
    known = {"configurations": (cluster.injector(),), **more}
    return Question(workloads_in(pod)[0], namespace, InjectionSettings(), **known)


def labelled(time: str) -> dict:
    entry = {"time": time, "fieldsV1": {"f:metadata": {"f:labels": {"f:outrider.dev/injection": {}}}}}
    return {"metadata": {"name": "agents", "managedFields": [{"time": "2020-01-01T00:00:00Z"}, entry]}}


CREATED = changed(cluster.bare_pod(), "metadata/creationTimestamp", "2026-05-01T00:00:00Z")
INSTALLED = changed(cluster.injector(), "metadata/creationTimestamp", "2026-05-02T00:00:00Z")


def test_a_pod_that_is_injected_is_told_by_which_entry() -> None:
    found = explain(question(cluster.bare_pod()))
    assert (found.verdict, found.fine, found.problems) == ("injected", True, ())
    assert render(blocks(found)) == (
        "Pod agents/triage\n"
        "  WEBHOOK ENTRY                   ASKED  WHY\n"
        "  enabled.injector.outrider.dev   yes    every selector matches\n"
        "  required.injector.outrider.dev  no     namespace: outrider.dev/injection must\n"
        "                                         not be enabled or disabled, but it is\n"
        "                                         enabled\n"
        "  pod.injector.outrider.dev       no     namespace: outrider.dev/injection must\n"
        "                                         not be there, but it is enabled\n"
        "  disabled.injector.outrider.dev  no     namespace: outrider.dev/injection must\n"
        "                                         be disabled, but it is enabled\n"
        "  injected  The pod gets a sidecar.\n"
    )


@pytest.mark.parametrize(
    ("pod", "namespace", "verdict", "reason"),
    [
        (cluster.bare_pod(), Namespace("agents"), "skipped", "not_opted_in"),
        (changed(cluster.bare_pod(), "spec/hostNetwork", True), AGENTS, "skipped", "host_network"),
        (
            changed(cluster.bare_pod(), "metadata/labels/outrider.dev|inject", "x"),
            AGENTS,
            "refused",
            "inject_label_invalid",
        ),
        (changed(cluster.bare_pod(), "spec", []), AGENTS, "refused", "pod_malformed"),
    ],
)
def test_the_decision_is_the_webhooks_own(pod, namespace, verdict, reason) -> None:
    found = explain(question(pod, namespace))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.fine is (verdict != "refused")
    assert found.sentences[0].startswith(f"{reason}: ")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"configurations": (INSTALLED,)},
            "Pod triage was created before Outrider was installed: restart it.",
        ),
        (
            {"namespace_object": labelled("2026-05-03T00:00:00Z")},
            "Pod triage was created before the namespace was labelled: restart it.",
        ),
        (
            {"namespace_object": labelled("2026-04-01T00:00:00Z")},
            "or while an entry was missing: restart it.",
        ),
    ],
)
def test_a_pod_that_lacks_its_sidecar_is_told_why(more, words) -> None:
    found = explain(question(CREATED, live=(CREATED,), **more))
    assert words in found.problems[0]
    assert not found.fine
    assert found.facts == ("pod triage has no sidecar",)


def test_a_pod_without_a_time_is_told_all_the_same() -> None:
    found = explain(question(cluster.bare_pod(), live=(cluster.bare_pod(),)))
    assert found.problems == ("Pod triage was created without a sidecar: restart it.",)


def test_a_pod_that_would_not_get_its_sidecar_again_is_told() -> None:
    pod = cluster.injected_pod()
    found = explain(question(pod, Namespace("agents"), live=(pod,)))
    assert found.facts == (
        "pod triage has a sidecar",
        "pod triage would not get it now, unless its manifest holds it",
    )
    assert found.fine


def test_workloads_are_told_with_their_pods() -> None:
    found = explain(question(cluster.workload(), live=()))
    assert found.facts == ("no pod of it runs",)
    found = explain(question(cluster.workload(), live=(cluster.injected_pod(), cluster.bare_pod("old"))))
    assert found.facts == ("pod triage has a sidecar", "pod old has no sidecar")
    assert len(found.problems) == 1


def test_a_label_on_the_workload_itself_is_told() -> None:
    misplaced = cluster.workload(labels={"outrider.dev/inject": "true"})
    found = explain(question(misplaced, Namespace("agents")))
    assert (found.verdict, found.fine) == ("skipped", False)
    assert found.problems == (
        "outrider.dev/inject stands on the Deployment itself, where it has no effect: "
        "move it to the metadata of the pod template.",
    )


def test_what_was_meant_by_an_unknown_name_is_told() -> None:
    found = explain(
        question(changed(cluster.bare_pod(), "metadata/annotations", {"outrider.dev/captrue": "x"}))
    )
    assert found.verdict == "refused"
    assert found.warnings == (
        "annotation outrider.dev/captrue is unknown; did you mean outrider.dev/capture?",
    )


def test_settings_that_were_assumed_are_told() -> None:
    found = explain(question(cluster.bare_pod(), assumed="forbidden (403)"))
    assert "for those of the cluster are not known: forbidden (403)" in found.warnings[0]


def test_a_control_plane_that_cannot_be_asked_is_told_with_what_follows() -> None:
    ignoring = changed(cluster.injector(), "webhooks/0/failurePolicy", "Ignore")
    found = explain(question(cluster.bare_pod(), configurations=(ignoring,), endpoints=Part()))
    assert "come up without a sidecar" in found.problems[0]


@pytest.mark.parametrize(
    ("configurations", "words"),
    [
        ((), "No webhook entry of Outrider is installed"),
        ((changed(cluster.injector(), "webhooks", cluster.injector()["webhooks"][1:]),), "No entry matches"),
        (
            (cluster.injector(), {"metadata": {"name": "z"}, "webhooks": [cluster.entry("all.z")]}),
            "both match",
        ),
    ],
)
def test_selectors_that_contradict_the_decision_are_told(configurations, words) -> None:
    found = explain(question(cluster.bare_pod(), configurations=configurations, live=(CREATED,)))
    assert words in found.problems[0]
    assert not found.fine


def test_without_configurations_only_the_decision_is_told() -> None:
    found = explain(question(cluster.bare_pod(), configurations=None))
    assert "only the decision is told" in render(blocks(found))
    assert as_json(found)["entries"] is None
    assert found.fine


def test_what_could_not_be_evaluated_is_unsure() -> None:
    entry = cluster.entry("x.y.z", matchConditions=[{"name": "hard", "expression": "authorizer.x()"}])
    found = explain(
        question(cluster.bare_pod(), configurations=({"metadata": {"name": "a"}, "webhooks": [entry]},))
    )
    assert "x.y.z          unsure" in render(blocks(found))
    assert "cannot be evaluated here" in as_json(found)["entries"][0]["unsure"]


def test_warnings_of_admission_are_passed_on() -> None:
    pod = changed(cluster.bare_pod(), "spec/shareProcessNamespace", True)
    confined = {"runAsNonRoot": True, "allowPrivilegeEscalation": False}
    pod = changed(
        pod, "spec/containers", [{"name": "agent", "image": "triage:7", "securityContext": confined}]
    )
    found = explain(question(pod))
    assert "warning   shared processes" in render(blocks(found))


def test_when_a_label_was_set_is_read_from_managed_fields() -> None:
    assert labelled_at(None) is None
    assert labelled_at({"metadata": {}}) is None
    assert str(labelled_at(labelled("2026-05-03T00:00:00Z"))) == "2026-05-03 00:00:00+00:00"


def test_the_warning_free_answer_for_programs_has_every_key() -> None:
    found = as_json(explain(replace(question(cluster.bare_pod()), live=(cluster.injected_pod(),))))
    assert found["live"] == ["pod triage has a sidecar"]
    assert [one["asked"] for one in found["entries"]] == [True, False, False, False]
    assert set(found) == {
        "subject",
        "fine",
        "entries",
        "verdict",
        "reason",
        "sentences",
        "warnings",
        "live",
        "problems",
    }
