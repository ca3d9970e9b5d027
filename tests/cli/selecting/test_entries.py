from __future__ import annotations

import pytest

from cli.selecting.entries import ask, creating_pods, entries, has_rule
from cli.selecting.truth_table import combinations, differences, overlaps
from mesh.settings import installation
from tests.support import outrider_cluster as cluster
from tests.support.outrider_cluster import changed

OURS = entries([cluster.injector()])


def asked(pod_label: str | None, namespace_label: str | None, namespace: str = "agents") -> list[str]:
    pod = cluster.bare_pod()
    if pod_label is not None:
        pod = changed(pod, "metadata/labels/outrider.dev|inject", pod_label)
    labels = {} if namespace_label is None else {"outrider.dev/injection": namespace_label}
    return [one.entry.name for one in (ask(entry, pod, namespace, labels) for entry in OURS) if one.matches]


@pytest.mark.parametrize(
    ("namespace_label", "pod_label", "expected"),
    [
        (None, None, []),
        (None, "true", [installation.POD_ENTRY]),
        (None, "false", []),
        (None, "other", [installation.POD_ENTRY]),
        ("enabled", None, [installation.ENABLED_ENTRY]),
        ("enabled", "false", []),
        ("required", "false", [installation.REQUIRED_ENTRY]),
        ("disabled", None, []),
        ("disabled", "true", ["disabled.injector.outrider.dev"]),
        ("nonsense", None, [installation.REQUIRED_ENTRY]),
    ],
)
def test_each_row_of_the_truth_table_asks_one_entry_at_most(namespace_label, pod_label, expected) -> None:
    assert asked(pod_label, namespace_label) == expected


def test_the_own_namespace_is_never_asked_about() -> None:
    assert asked("true", "required", cluster.SPACE) == []


def test_why_an_entry_is_not_asked_is_told() -> None:
    (enabled, *_) = OURS
    labels = {"outrider.dev/injection": "enabled"}
    opted_out = changed(cluster.bare_pod(), "metadata/labels/outrider.dev|inject", "false")
    mirror = changed(cluster.bare_pod(), "metadata/annotations", {"kubernetes.io/config.mirror": "x"})
    why = [
        ask(enabled, pod, "agents", given).why_not
        for pod, given in ((cluster.bare_pod(), {}), (opted_out, labels), (mirror, labels))
    ]
    assert why == [
        "namespace: outrider.dev/injection must be enabled, but it is not there",
        "pod: outrider.dev/inject must not be false, but it is false",
        "matchCondition not-a-mirror is false",
    ]


def test_conditions_that_cannot_be_evaluated_are_told_and_do_not_decide() -> None:
    value = cluster.entry("x.y.z", matchConditions=[{"name": "hard", "expression": "authorizer.x()"}])
    found = ask(entries([{"webhooks": [value]}])[0], cluster.bare_pod(), "agents", {})
    assert found.matches
    assert "matchCondition hard cannot be evaluated here" in found.unsure


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"operations": ["*"], "apiGroups": ["*"], "resources": ["*"]}, True),
        ({"operations": ["CREATE"], "apiGroups": [""], "resources": ["pods"], "scope": "Namespaced"}, True),
        ({"operations": ["CREATE"], "apiGroups": [""], "resources": ["*/*"]}, True),
        ({"operations": ["UPDATE"], "apiGroups": [""], "resources": ["pods"]}, False),
        ({"operations": ["CREATE"], "apiGroups": ["apps"], "resources": ["pods"]}, False),
        ({"operations": ["CREATE"], "apiGroups": [""], "resources": ["pods/status"]}, False),
        ({"operations": ["CREATE"], "apiGroups": [""], "resources": ["pods"], "scope": "Cluster"}, False),
        ({}, False),
    ],
)
def test_rules_name_the_creation_of_pods_or_not(rule, expected) -> None:
    found = entries([{"webhooks": [{"name": "x", "rules": [rule]}]}])
    assert bool(list(creating_pods(found))) is expected


@pytest.mark.parametrize(
    ("resource", "expected"),
    [("*/*", True), ("*/ephemeralcontainers", True), ("pods/*", True), ("pods", False), ("*", False)],
)
def test_subresources_are_named_apart(resource, expected) -> None:
    rule = {"operations": ["UPDATE"], "apiGroups": [""], "resources": [resource]}
    (entry,) = entries([{"webhooks": [{"name": "x", "rules": [rule]}]}])
    assert has_rule(entry, "UPDATE", "", "pods/ephemeralcontainers") is expected


def test_entries_come_in_the_order_in_which_they_are_called() -> None:
    found = entries(
        [
            {"metadata": {"name": "b"}, "webhooks": [{"name": "1"}]},
            {"metadata": {"name": "a"}, "webhooks": [{"name": "3"}, {"name": "2"}]},
        ]
    )
    assert [(one.configuration, one.name) for one in found] == [("a", "3"), ("a", "2"), ("b", "1")]


def test_the_charts_entries_are_disjoint_and_complete() -> None:
    assert list(overlaps(OURS)) == []
    assert list(differences(OURS)) == []
    assert len(list(combinations(OURS))) == 5 * 5 * 4


def test_selectors_without_end_are_given_up() -> None:
    keys = [{"key": f"k{i}", "operator": "In", "values": ["a", "b", "c"]} for i in range(20)]
    value = cluster.entry("x.y.z", namespaceSelector={"matchExpressions": keys})
    assert len(list(combinations(entries([{"webhooks": [value]}])))) == 20_000
