"""Pods inside manifests: where each kind of workload keeps the template of its pods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mesh.settings.kinds import Kind
from mesh.settings.table import TABLE

# What admission reads of a pod's labels and annotations.
ON_PODS = frozenset(row.name for row in TABLE if row.kind in (Kind.POD_LABEL, Kind.ANNOTATION))
_TEMPLATE = ("spec", "template")
# (API group, kind) -> the path of the pod template; the empty path is the pod itself.
_PATHS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload found in a manifest.

    `namespace` is None where the object does not say. `pod` is the pod or its template, or whatever stands in
    the template's place. `outer` is the object's own metadata where that is not the pod's.
    """

    kind: str
    name: str
    namespace: str | None
    pod: Any
    outer: dict[str, Any]


Change = Callable[[Workload], Any]


def transform(document: Any, change: Change) -> Any:
    """`document` with every pod replaced by what `change` returns for it, or itself where nothing changed.

    `change` returns None for a pod that stays as it is. Lists are gone into; other kinds are left alone.
    """
    if not isinstance(document, dict):
        return document
    kind = document.get("kind")
    items = document.get("items")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
        changed = [transform(item, change) for item in items]
        if all(new is old for new, old in zip(changed, items, strict=True)):
            return document
        return {**document, "items": changed}
    path = _path(document)
    if path is None:
        return document
    new = change(_workload(document, path))
    return document if new is None else _replaced(document, path, new)


def workloads_in(document: Any) -> list[Workload]:
    """Every workload of a document."""
    found: list[Workload] = []

    def note(workload: Workload) -> None:
        found.append(workload)

    transform(document, note)
    return found


def misplaced(workload: Workload) -> list[str]:
    """The commonest slip: labels and annotations of Outrider on the workload, where no pod gets them."""
    written = {**texts(workload.outer.get("labels")), **texts(workload.outer.get("annotations"))}
    return [name for name in written if name in ON_PODS]


def texts(value: Any) -> dict[str, str]:
    """Labels or annotations as far as they are text."""
    if not isinstance(value, Mapping):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


def objects(document: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document: itself, or the items of a list."""
    if isinstance(document, dict):
        items = document.get("items")
        if str(document.get("kind")).endswith("List") and isinstance(items, list):
            for item in items:
                yield from objects(item)
        else:
            yield document


def _path(document: dict[str, Any]) -> tuple[str, ...] | None:
    version, kind = document.get("apiVersion"), document.get("kind")
    if not isinstance(version, str) or not isinstance(kind, str):
        return None
    group = version.rpartition("/")[0]
    return _PATHS.get((group, kind))


def _workload(document: dict[str, Any], path: tuple[str, ...]) -> Workload:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    pod: Any = document
    for key in path:
        pod = pod.get(key) if isinstance(pod, dict) else None
    if path and isinstance(pod, dict) and pod.get("metadata") is None:
        pod = {**pod, "metadata": {}}  # a template may go without, a pod may not
    namespace = metadata.get("namespace")
    name = metadata.get("name") or metadata.get("generateName") or "(no name)"
    return Workload(
        document["kind"],
        str(name),
        namespace if isinstance(namespace, str) and namespace else None,
        pod,
        metadata if path else {},
    )


def _replaced(document: dict[str, Any], path: tuple[str, ...], new: Any) -> Any:
    if not path:
        return new
    key, *rest = path
    return {**document, key: _replaced(document[key], tuple(rest), new)}
