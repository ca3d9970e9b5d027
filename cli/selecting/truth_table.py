"""Selectors held against the truth table of injection, by trying every combination of labels that matters.

The labels that matter are those that a selector names, with every value that it names, one that none names, and
none at all; and those of the truth table itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise, product

from cli.selecting.entries import Entry, selected
from cli.selecting.labels import NAMESPACE_NAME, requirements
from mesh.settings.table import NAMESPACE_INJECTION, POD_INJECT
from webhook.admission.optin import opted_in
from webhook.admission.outcome import Skipped

OTHER = "other"
_INJECTION = (None, "enabled", "required", "disabled", OTHER)
_INJECT = (None, "true", "false", OTHER)
_MOST = 20_000  # combinations; more come from selectors that nobody could read either
Labels = dict[str, str]


def overlaps(found: list[Entry]) -> Iterator[str]:
    """Pairs of entries that match one pod, each once with labels for which they do."""
    said: set[tuple[str, str]] = set()
    for namespace, pod in combinations(found):
        matching = [entry.name for entry in found if selected(entry, namespace, pod)]
        for first, second in pairwise(matching):
            if (first, second) not in said:
                said.add((first, second))
                yield f"{first} and {second} both match {_told(namespace, pod)}"


def differences(found: list[Entry]) -> Iterator[str]:
    """Rows of the truth table that no entry asks about, although admission would do something there."""
    for injection, inject in product(_INJECTION, _INJECT):
        namespace: Labels = {} if injection is None else {NAMESPACE_INJECTION.name: injection}
        pod: Labels = {} if inject is None else {POD_INJECT.name: inject}
        if isinstance(opted_in(namespace, pod, ignored=False), Skipped):
            continue
        if not any(selected(entry, {NAMESPACE_NAME: OTHER, **namespace}, pod) for entry in found):
            yield f"no entry matches {_told(namespace, pod)}"


def combinations(found: list[Entry]) -> Iterator[tuple[Labels, Labels]]:
    """Labels of a namespace and of a pod, in every combination that the selectors could tell apart."""
    namespaces = _values([entry.value.get("namespaceSelector") for entry in found])
    pods = _values([entry.value.get("objectSelector") for entry in found])
    for values, label, more in ((namespaces, NAMESPACE_INJECTION, _INJECTION), (pods, POD_INJECT, _INJECT)):
        known = values.setdefault(label.name, [])
        known += [value for value in more if value not in known]
    # Every namespace has its name as a label.
    named = namespaces.setdefault(NAMESPACE_NAME, [OTHER])
    namespaces[NAMESPACE_NAME] = [value for value in named if value is not None]
    count = 0
    for namespace in _each(namespaces):
        for pod in _each(pods):
            yield namespace, pod
            count += 1
            if count >= _MOST:
                return


def _values(selectors: list[Mapping[str, object] | None]) -> dict[str, list[str | None]]:
    values: dict[str, list[str | None]] = {}
    for selector in selectors:
        for requirement in requirements(selector):
            known = values.setdefault(str(requirement["key"]), [None, OTHER])
            known += [value for value in requirement.get("values") or () if value not in known]
    return values


def _each(values: dict[str, list[str | None]]) -> Iterator[Labels]:
    for chosen in product(*values.values()):
        yield {key: value for key, value in zip(values, chosen, strict=True) if value is not None}


def _told(namespace: Labels, pod: Labels) -> str:
    shown = {key: value for key, value in namespace.items() if key != NAMESPACE_NAME}
    return f"a pod with {_labels(pod)} in a namespace with {_labels(shown)}"


def _labels(labels: Labels) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "no label"
