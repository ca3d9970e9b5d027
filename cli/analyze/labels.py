"""Findings about labels and annotations: misplaced, misspelt, contradictory."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from cli.analyze.finding import Finding, at
from cli.analyze.inventory import Agent, Inventory, Item
from cli.workloads import misplaced, texts
from mesh.settings.kinds import Kind
from mesh.settings.table import NAMESPACE_INJECTION, POD_INJECT, PREFIX, TABLE
from webhook.admission.optin import PodSays, pod_says

_LABELS = {
    kind: {row.name for row in TABLE if row.kind is kind} for kind in (Kind.POD_LABEL, Kind.NAMESPACE_LABEL)
}
_ANNOTATIONS = {row.name for row in TABLE if row.kind is Kind.ANNOTATION}


def outside_template(inventory: Inventory) -> Iterator[Finding]:
    """OUT0101"""
    for agent in inventory.agents:
        for name in misplaced(agent.workload):
            where = "labels" if name in texts(agent.workload.outer.get("labels")) else "annotations"
            message = f"{name} stands on the {agent.workload.kind} and not on its pod template"
            yield at(agent.item, inventory.default, "OUT0101", message, "metadata", where, name)


def misspelt(inventory: Inventory) -> Iterator[Finding]:
    """OUT0102 and OUT0103"""
    for agent in inventory.agents:
        yield from _names(inventory, agent.item, agent.template, _metadata(agent), Kind.POD_LABEL)
    for item in inventory.of_kind("Namespace"):
        metadata = item.section("metadata")
        yield from _names(inventory, item, (), metadata, Kind.NAMESPACE_LABEL)


def namespace_values(inventory: Inventory) -> Iterator[Finding]:
    """OUT0104"""
    for item in inventory.of_kind("Namespace"):
        value = texts(item.section("metadata").get("labels")).get(NAMESPACE_INJECTION.name)
        if value is not None and NAMESPACE_INJECTION.values.problem(value):
            message = f"{NAMESPACE_INJECTION.name}={value} {NAMESPACE_INJECTION.values.problem(value)}"
            path = ("metadata", "labels", NAMESPACE_INJECTION.name)
            yield at(item, inventory.default, "OUT0104", message, *path)


def contradictions(inventory: Inventory) -> Iterator[Finding]:
    """OUT0105 and OUT0106"""
    for agent in inventory.agents:
        says = pod_says(texts(agent.labels))
        label = agent.namespace.labels.get(NAMESPACE_INJECTION.name)
        code = _CONTRADICTIONS.get((label, says))
        if code is not None:
            message = f"namespace {agent.namespace.name} is labelled {NAMESPACE_INJECTION.name}={label}"
            path = (*agent.template, "metadata", "labels", POD_INJECT.name)
            yield at(agent.item, inventory.default, code, message, *path)


_CONTRADICTIONS: dict[tuple[str | None, PodSays], str] = {
    ("disabled", PodSays.YES): "OUT0105",
    ("required", PodSays.NO): "OUT0106",
}


def strangers(agent: Agent) -> set[str]:
    """The names of a pod under our prefix that are unknown, or not where they belong."""
    metadata = _metadata(agent)
    return {
        name
        for where, known in (("labels", _LABELS[Kind.POD_LABEL]), ("annotations", _ANNOTATIONS))
        for name in texts(metadata.get(where))
        if name.startswith(PREFIX) and name not in known
    }


def suggested(pod: object) -> Iterator[str]:
    """What is said of names of a pod, or its template, that nobody knows: mostly what was meant."""
    metadata = pod.get("metadata") if isinstance(pod, dict) else None
    for where, known in (("labels", _LABELS[Kind.POD_LABEL]), ("annotations", _ANNOTATIONS)):
        for name in texts(metadata.get(where) if isinstance(metadata, dict) else None):
            if name.startswith(PREFIX) and name not in known | _ANNOTATIONS | _LABELS[Kind.POD_LABEL]:
                yield _unknown(name, where, _LABELS[Kind.POD_LABEL] | _ANNOTATIONS)


def _metadata(agent: Agent) -> dict[str, object]:
    pod = agent.workload.pod
    metadata = pod.get("metadata") if isinstance(pod, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _names(
    inventory: Inventory, item: Item, template: tuple[str, ...], metadata: dict[str, object], kind: Kind
) -> Iterator[Finding]:
    for where, known, other in (
        ("labels", _LABELS[kind], _ANNOTATIONS),
        ("annotations", _ANNOTATIONS, _LABELS[kind]),
    ):
        for name in texts(metadata.get(where)):
            if not name.startswith(PREFIX) or name in known:
                continue
            path = (*template, "metadata", where, name)
            if name in other:
                meant = "an annotation" if where == "labels" else "a label"
                yield at(item, inventory.default, "OUT0103", f"{name} is {meant}", *path)
            else:
                yield at(item, inventory.default, "OUT0102", _unknown(name, where, known | other), *path)


def _unknown(name: str, where: str, known: set[str]) -> str:
    ours = sorted(one.removeprefix(PREFIX) for one in known if one.startswith(PREFIX))
    close = get_close_matches(name.removeprefix(PREFIX), ours, n=1)
    meant = f"; did you mean {PREFIX}{close[0]}?" if close else ""
    return f"{where.removesuffix('s')} {name} is unknown{meant}"
