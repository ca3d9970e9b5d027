"""Small readings of Kubernetes objects that several checks need."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cli.cluster.answers import Obj
from mesh.settings.table import SIDECAR_CONTAINER

_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def counted(number: int, one: str, more: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} {one if number == 1 else more}"


def name_of(item: Obj) -> str:
    """metadata.name"""
    return str((item.get("metadata") or {}).get("name", "(no name)"))


def labels_of(item: Obj) -> dict[str, str]:
    """metadata.labels"""
    return (item.get("metadata") or {}).get("labels") or {}


def annotations_of(item: Obj) -> dict[str, str]:
    """metadata.annotations"""
    return (item.get("metadata") or {}).get("annotations") or {}


def inner(item: Mapping[str, Any] | None, *path: str) -> Any:
    """The value below keys, None where one of them is not there."""
    value: Any = item
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def minor_version(text: str) -> tuple[int, int] | None:
    """`v1.31.4-gke.1` as (1, 31)."""
    match = _VERSION.match(text)
    return (int(match[1]), int(match[2])) if match else None


def moment(text: object) -> datetime | None:
    """A time as Kubernetes writes it (RFC 3339)."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def containers_of(pod: Obj) -> Iterator[Obj]:
    """Init, application and ephemeral containers."""
    for place in ("initContainers", "containers", "ephemeralContainers"):
        yield from inner(pod, "spec", place) or ()


def sidecar_of(pod: Obj) -> Obj | None:
    """The sidecar's container: an init container, or another one where there are no native sidecars."""
    return next((one for one in containers_of(pod) if one.get("name") == SIDECAR_CONTAINER), None)


def sidecar_status(pod: Obj) -> Obj | None:
    """What the kubelet says of it."""
    for place in ("initContainerStatuses", "containerStatuses"):
        for status in inner(pod, "status", place) or ():
            if status.get("name") == SIDECAR_CONTAINER:
                return dict(status)
    return None


def ended(pod: Obj) -> bool:
    """Pods that have run, or are being deleted, say nothing about what runs now."""
    gone = (pod.get("metadata") or {}).get("deletionTimestamp")
    return bool(gone) or inner(pod, "status", "phase") in ("Succeeded", "Failed")
