"""Taking our own additions out of a pod: the first half of every injection, and all of `outrider uninject`.

The API server calls us again for pods that we have changed already, and does not say so; and anybody may write a
container of our name by hand. So what bears a reserved name is removed and built anew, never trusted.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

from mesh.settings.table import (
    POD_INJECTED,
    RESERVED_CONTAINERS,
    RESERVED_VOLUMES,
    SIDECAR_CONTAINER,
    STATE_VOLUME,
    STATUS,
    TMP_VOLUME,
    TRUST_VOLUME,
)
from webhook.admission.documents import Labels, Pod, PodSpec
from webhook.admission.hidden_secrets import restore_secrets
from webhook.admission.probes import restore
from webhook.admission.proxy_variables import repoint, without
from webhook.admission.settings import InjectionSettings
from webhook.admission.shape import sidecar_of
from webhook.admission.trust import application_containers, keep_environment, without_trust

EVICTABLE = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
IN_MEMORY = frozenset({TMP_VOLUME, TRUST_VOLUME, STATE_VOLUME})


class Added(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What injection added that bears no name of ours: a part of the status."""

    default_container: str = ""
    pull_secrets: tuple[str, ...] = ()


class _Status(msgspec.Struct, frozen=True):
    added: Added = Added()


def strip(pod: Pod) -> None:
    """Remove from `pod`, in place, everything that bears a reserved name, and give back what was replaced.

    A native sidecar and one among the ordinary containers both go, so that the setting may change. What stands in
    the application's containers otherwise stays: it is merged with what they hold. A pod that would have no
    container left keeps what it has, and is refused on its account.
    """
    spec, metadata = pod["spec"], pod["metadata"]
    found = sidecar_of(pod)
    _without(spec, "initContainers", RESERVED_CONTAINERS)
    if any(container["name"] != SIDECAR_CONTAINER for container in spec["containers"]):
        _without(spec, "containers", frozenset({SIDECAR_CONTAINER}))
    _without(spec, "volumes", RESERVED_VOLUMES)
    restore(pod, found)
    restore_secrets(pod, found)
    _take_back(pod, (metadata.get("annotations") or {}).pop(STATUS.name, None))
    (metadata.get("labels") or {}).pop(POD_INJECTED.name, None)


_Listed = Literal["initContainers", "containers", "volumes"]


def _without(spec: PodSpec, key: _Listed, names: frozenset[str]) -> None:
    """Remove what bears one of `names`, and the list with it where nothing is left."""
    present = spec.get(key) or []
    kept = [one for one in present if one["name"] not in names]
    if len(kept) == len(present):
        return
    if kept:
        spec[key] = kept  # type: ignore[typeddict-item]
    else:
        del spec[key]


def _take_back(pod: Pod, status: str | None) -> None:
    """Undo what bears no name of ours, as the status tells it; whoever forges one loses what they wrote there."""
    try:
        added = msgspec.json.decode(status or "{}", type=_Status).added
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return
    spec, annotations = pod["spec"], pod["metadata"].get("annotations") or {}
    if added.default_container and annotations.get(DEFAULT_CONTAINER) == added.default_container:
        del annotations[DEFAULT_CONTAINER]
    present = spec.get("imagePullSecrets") or []
    kept = [one for one in present if one.get("name") not in added.pull_secrets]
    if len(kept) < len(present):
        spec["imagePullSecrets"] = kept
        if not kept:
            del spec["imagePullSecrets"]


def evictable(text: str, ours: Collection[str]) -> str:
    """The list of volumes that may be lost with a node: what `text` lists, as it is written there, then `ours`."""
    items = [item for item in text.split(",") if item.strip() and item.strip() not in IN_MEMORY]
    return ",".join((*items, *ours))


def unevictable(annotations: Labels) -> None:
    """Take our volumes out of that list, and the list with them if it is empty."""
    left = evictable(annotations.get(EVICTABLE, ""), ())
    if left:
        annotations[EVICTABLE] = left
    else:
        annotations.pop(EVICTABLE, None)


def uninject(pod: Pod, settings: InjectionSettings) -> None:
    """Remove from `pod`, in place, everything that injection adds, as far as it can be told from the author's.

    Empty parents that injection may have made go.
    """
    metadata, found = pod["metadata"], sidecar_of(pod)
    strip(pod)
    repoint(application_containers(pod), found, settings)
    for container in application_containers(pod):
        without_trust(container)
        if container.get("env"):
            keep_environment(container, without(container, settings))
    annotations = metadata.get("annotations")
    if annotations is not None:
        unevictable(annotations)
        if not annotations:
            del metadata["annotations"]
    if metadata.get("labels") == {}:
        del metadata["labels"]


def only_container(pod: Pod) -> str | None:
    """The name of the application's container, where there is exactly one."""
    containers = pod["spec"]["containers"]
    return containers[0]["name"] if len(containers) == 1 else None


def is_injected(pod: Pod) -> bool:
    """Does the pod hold anything that only injection adds?"""
    init = pod["spec"].get("initContainers") or ()
    labels = pod["metadata"].get("labels") or {}
    ours = sidecar_of(pod) is not None or any(one["name"] in RESERVED_CONTAINERS for one in init)
    return ours or POD_INJECTED.name in labels
