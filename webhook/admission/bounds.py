"""Pods that are too large to be looked at within the time that an API server gives.

It asks before it validates, so that what it would refuse itself arrives here all the same: a pod may have a
megabyte of annotations, or thirty thousand containers. One such review would hold up all others, so it is refused
by counting. The bounds are far above what pods have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mesh.reasons import Reason
from webhook.admission.outcome import Problem

ANNOTATION_BYTES = 256 * 1024  # what the API server allows
OWN_ANNOTATION_BYTES = 16 * 1024
_PREFIX = "outrider.dev/"
_STATUS = "outrider.dev/status"
_OF_A_POD = {"containers": 200, "initContainers": 200, "ephemeralContainers": 200, "volumes": 500}
_OF_METADATA = {"finalizers": 500, "ownerReferences": 500, "managedFields": 500}
_OF_ALL_CONTAINERS = {"env": 2000, "ports": 1000, "volumeMounts": 2000, "envFrom": 500}


def excessive(pod: Mapping[str, Any]) -> list[Problem]:
    """What there is too much of. Nothing is raised, whatever `pod` holds; other shapes count as nothing."""
    return [Problem(Reason.POD_TOO_LARGE, detail) for detail in (*_annotations(pod), *_lists(pod))]


def _annotations(pod: Mapping[str, Any]) -> Iterator[str]:
    held = _mapping(_mapping(pod.get("metadata")).get("annotations"))
    sizes = {name: len(name) + len(value) for name, value in held.items() if isinstance(value, str)}
    if sum(sizes.values()) > ANNOTATION_BYTES:
        yield f"annotations of {sum(sizes.values())} bytes, at most {ANNOTATION_BYTES}"
    for name, size in sizes.items():
        if size > OWN_ANNOTATION_BYTES and name.startswith(_PREFIX) and name != _STATUS:
            yield f"annotation {name[:80]} of {size} bytes, at most {OWN_ANNOTATION_BYTES}"


def _lists(pod: Mapping[str, Any]) -> Iterator[str]:
    spec, metadata = _mapping(pod.get("spec")), _mapping(pod.get("metadata"))
    for held, bounds in ((spec, _OF_A_POD), (metadata, _OF_METADATA)):
        for key, most in bounds.items():
            if len(_list(held.get(key))) > most:
                yield f"{len(held[key])} {key}, at most {most}"
    counts = dict.fromkeys(_OF_ALL_CONTAINERS, 0)
    for key in ("containers", "initContainers", "ephemeralContainers"):
        for container in _list(spec.get(key)):
            for part in counts:
                counts[part] += len(_list(_mapping(container).get(part)))
    for part, count in counts.items():
        if count > _OF_ALL_CONTAINERS[part]:
            yield f"{count} entries of {part} in all containers, at most {_OF_ALL_CONTAINERS[part]}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
