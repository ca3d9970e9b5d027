"""Which pods an API server asks about: exactly those that the truth table injects or refuses, each once.

Evaluated here as an API server does, for every combination of labels. Nobody is asked about in vain. In namespaces
that are ignored nobody is asked about at all, also where the table would refuse: the cluster must be able to heal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cli.selecting.cel import evaluate
from mesh.settings import installation as names
from mesh.settings.table import KAGENTI_INJECT, NAMESPACE_INJECTION, POD_INJECT, POD_INJECTED, ROSSOCTL_INJECT
from webhook.admission.optin import opted_in
from webhook.admission.outcome import Refusal, Skipped

IGNORED = ("kube-system", "kube-public", "kube-node-lease", "outrider-system")
NAMESPACES = ("agents", *IGNORED)
NAMESPACE_VALUES = (None, "enabled", "required", "disabled", "Enabled", "")
POD_VALUES = (None, "true", "false", "yes", "")
FOREIGN_VALUES = (None, "disabled", "enabled")

Labels = dict[str, str]
Pod = dict[str, Any]

# The match conditions, as their expressions in CEL say; goldens hold those to the letter.
CONDITIONS: dict[str, Callable[[Pod], bool]] = {
    names.NOT_A_MIRROR: lambda pod: "kubernetes.io/config.mirror" not in pod["annotations"],
    names.NOT_OPTED_OUT_ELSEWHERE: lambda pod: (
        POD_INJECT.name in pod["labels"]
        or "disabled" not in (pod["labels"].get(ROSSOCTL_INJECT.name), pod["labels"].get(KAGENTI_INJECT.name))
    ),
}


def selects(selector: dict[str, Any] | None, labels: Labels) -> bool:
    selector = selector or {}
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return exact and all(_holds(each, labels) for each in selector.get("matchExpressions", ()))


def _holds(expression: dict[str, Any], labels: Labels) -> bool:
    key, values = expression["key"], expression.get("values", ())
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise AssertionError(expression)


def labelled(*pairs: tuple[str, str | None]) -> Labels:
    return {key: value for key, value in pairs if value is not None}


def combinations() -> Iterator[tuple[str, Labels, Pod]]:
    for name, injection, inject, rossoctl, kagenti, injected, mirror in itertools.product(
        NAMESPACES,
        NAMESPACE_VALUES,
        POD_VALUES,
        FOREIGN_VALUES,
        FOREIGN_VALUES,
        (None, "true"),
        (False, True),
    ):
        namespace = labelled((NAMESPACE_INJECTION.name, injection), ("kubernetes.io/metadata.name", name))
        labels = labelled(
            (POD_INJECT.name, inject),
            (ROSSOCTL_INJECT.name, rossoctl),
            (KAGENTI_INJECT.name, kagenti),
            (POD_INJECTED.name, injected),
        )
        yield (
            name,
            namespace,
            {"labels": labels, "annotations": {"kubernetes.io/config.mirror": "x"} if mirror else {}},
        )


def asked(webhooks: list[dict[str, Any]], namespace: Labels, pod: Pod) -> list[str]:
    return [
        one["name"]
        for one in webhooks
        if selects(one["namespaceSelector"], namespace)
        and selects(one["objectSelector"], pod["labels"])
        and all(CONDITIONS[each["name"]](pod) for each in one.get("matchConditions", ()))
    ]


def test_the_expressions_say_what_is_taken_for_them_here(find) -> None:
    expressions = {
        each["name"]: each["expression"]
        for one in find("MutatingWebhookConfiguration")["webhooks"]
        for each in one.get("matchConditions", ())
    }
    assert expressions.keys() == CONDITIONS.keys()
    for _, _, pod in combinations():
        metadata = {key: value for key, value in pod.items() if value}  # an API server drops empty maps
        for name, expression in expressions.items():
            assert evaluate(expression, {"object": {"metadata": metadata}}) is CONDITIONS[name](pod)


@pytest.fixture(scope="module")
def webhooks(find) -> list[dict[str, Any]]:
    return find("MutatingWebhookConfiguration")["webhooks"]


def test_pods_that_are_injected_or_refused_are_asked_about_once_and_others_never(webhooks) -> None:
    for name, namespace, pod in combinations():
        outcome = opted_in(namespace, pod["labels"], ignored=name in IGNORED)
        # A mirror, or who claims to be one, is asked about only where no pod may go without.
        mirror = pod["annotations"] and namespace.get("outrider.dev/injection") in (
            None,
            "enabled",
            "disabled",
        )
        wanted = not isinstance(outcome, Skipped) and name not in IGNORED and not mirror
        assert len(asked(webhooks, namespace, pod)) == int(wanted), (namespace, pod, outcome)


def test_each_entry_is_for_what_its_name_says(webhooks) -> None:
    by_entry: dict[str, set[str | None]] = {}
    for _, namespace, pod in combinations():
        for entry in asked(webhooks, namespace, pod):
            by_entry.setdefault(entry, set()).add(namespace.get(NAMESPACE_INJECTION.name))
    assert by_entry == {
        names.ENABLED_ENTRY: {"enabled"},
        names.REQUIRED_ENTRY: {"required", "Enabled", ""},
        names.POD_ENTRY: {None},
        names.DISABLED_ENTRY: {"disabled"},
    }


def test_more_ignored_namespaces_are_not_asked_about(find) -> None:
    values = {"settings": {"ignoredNamespaces": ["kube-system", "monitoring"]}}
    webhooks = find("MutatingWebhookConfiguration", values=values)["webhooks"]
    pod = {"labels": {POD_INJECT.name: "true"}, "annotations": {}}
    for name, expected in (("monitoring", 0), ("outrider-system", 0), ("kube-public", 1)):
        namespace = {NAMESPACE_INJECTION.name: "required", "kubernetes.io/metadata.name": name}
        assert len(asked(webhooks, namespace, pod)) == expected


def test_the_final_state_is_looked_at_once_wherever_somebody_has_a_say(find, manifests) -> None:
    policy = find("ValidatingAdmissionPolicy")["spec"]["matchConstraints"]
    bindings = [one["spec"]["matchResources"] for one in manifests() if one["kind"].endswith("PolicyBinding")]
    for name, namespace, pod in combinations():
        outcome = opted_in(namespace, pod["labels"], ignored=name in IGNORED)
        looking = [
            one
            for one in bindings
            if selects(policy["namespaceSelector"], namespace)
            and selects(one["namespaceSelector"], namespace)
            and selects(one.get("objectSelector"), pod["labels"])
        ]
        assert len(looking) <= 1
        needed = not isinstance(outcome, Skipped) or POD_INJECTED.name in pod["labels"]
        if needed and name not in IGNORED:
            assert len(looking) == 1, (namespace, pod)
        silent = not {POD_INJECT.name, POD_INJECTED.name} & pod["labels"].keys()
        if silent and NAMESPACE_INJECTION.name not in namespace:
            assert not looking, "pods that have nothing to do with Outrider"


def test_refusals_and_wishes_are_both_among_the_combinations() -> None:
    kinds = {type(opted_in(namespace, pod["labels"], ignored=False)) for _, namespace, pod in combinations()}
    assert Refusal in kinds
    assert len(kinds) == 3


def test_own_pods_are_left_alone_wherever_they_are_installed(manifests) -> None:
    objects = manifests(namespace="mesh")
    (injector,) = [one for one in objects if one["kind"] == "MutatingWebhookConfiguration"]
    namespace = {NAMESPACE_INJECTION.name: "required", "kubernetes.io/metadata.name": "mesh"}
    assert (
        asked(injector["webhooks"], namespace, {"labels": {POD_INJECT.name: "true"}, "annotations": {}}) == []
    )
