"""Which entries of which webhook configurations the API server asks about a pod, and why the others are not asked.

One entry is asked where its rules name the operation, and its namespaceSelector, its objectSelector and all of its
matchConditions match.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.selecting.cel import NotEvaluable, evaluate
from cli.selecting.labels import NAMESPACE_NAME, matches, mismatch
from cli.selecting.shape import is_configuration

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of one configuration, as it stands there."""

    configuration: str
    name: str
    value: Obj

    @property
    def service(self) -> tuple[str, str] | None:
        """Namespace and name of the Service it calls, None where it calls a URL."""
        service = (self.value.get("clientConfig") or {}).get("service")
        return (str(service.get("namespace")), str(service.get("name"))) if service else None


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether an entry is asked. `why_not` is empty where it is; `unsure` says what could not be told here."""

    entry: Entry
    why_not: str = ""
    unsure: str = ""

    @property
    def matches(self) -> bool:
        return not self.why_not


def entries(configurations: Sequence[Obj]) -> list[Entry]:
    """Every entry, in the order in which mutating webhooks are called: by configuration, then as written.

    What is not shaped like a configuration has none."""
    ordered = sorted(
        filter(is_configuration, configurations), key=lambda one: str((one.get("metadata") or {}).get("name"))
    )
    return [
        Entry(str((configuration.get("metadata") or {}).get("name")), str(value.get("name")), value)
        for configuration in ordered
        for value in configuration.get("webhooks") or ()
    ]


def has_rule(entry: Entry, operation: str, group: str, resource: str) -> bool:
    """Does a rule of the entry name this?"""
    for rule in entry.value.get("rules") or ():
        if (
            _names(rule.get("operations"), operation)
            and _names(rule.get("apiGroups"), group)
            and _names_resource(rule.get("resources"), resource)
            and rule.get("scope", "*") in ("*", "Namespaced")
        ):
            return True
    return False


def creating_pods(found: list[Entry]) -> Iterator[Entry]:
    """Those that are asked about the creation of pods, whatever pod it is."""
    return (entry for entry in found if has_rule(entry, "CREATE", "", "pods"))


def selected(entry: Entry, namespace_labels: Mapping[str, str], pod_labels: Mapping[str, str]) -> bool:
    """Do both selectors match?"""
    value = entry.value
    return matches(value.get("namespaceSelector"), namespace_labels) and matches(
        value.get("objectSelector"), pod_labels
    )


def ask(entry: Entry, pod: Obj, namespace: str, namespace_labels: Mapping[str, str]) -> Asked:
    """Would the API server ask this entry when `pod` is created in `namespace`?"""
    labels = {NAMESPACE_NAME: namespace, **namespace_labels}
    pod_labels = (pod.get("metadata") or {}).get("labels") or {}
    wrong = mismatch(entry.value.get("namespaceSelector"), labels)
    if wrong is not None:
        return Asked(entry, f"namespace: {wrong}")
    wrong = mismatch(entry.value.get("objectSelector"), pod_labels)
    if wrong is not None:
        return Asked(entry, f"pod: {wrong}")
    return _conditions(entry, pod, namespace)


def _conditions(entry: Entry, pod: Obj, namespace: str) -> Asked:
    known = {
        "object": pod,
        "oldObject": None,
        "request": {"operation": "CREATE", "namespace": namespace, "resource": {"resource": "pods"}},
    }
    unsure = []
    for condition in entry.value.get("matchConditions") or ():
        name = condition.get("name")
        try:
            if not evaluate(str(condition.get("expression")), known):
                return Asked(entry, f"matchCondition {name} is false")
        except NotEvaluable as error:
            unsure.append(f"matchCondition {name} cannot be evaluated here: {error}")
    return Asked(entry, unsure="; ".join(unsure))


def _names(values: Any, wanted: str) -> bool:
    return "*" in (values or ()) or wanted in (values or ())


def _names_resource(values: Any, wanted: str) -> bool:
    given = values or ()
    whole, _, sub = wanted.partition("/")
    if sub:
        return bool({"*/*", f"*/{sub}", f"{whole}/*", wanted} & set(given))
    return bool({"*", "*/*", wanted} & set(given))
