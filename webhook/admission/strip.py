"""Taking our own additions out of a pod: the first half of every injection, and all of `outrider uninject`.

The API server calls us again for pods that we have changed already, and does not say so; and anybody may write a
container of our name by hand. So what bears a reserved name is removed and built anew, never trusted.
"""

from __future__ import annotations

from mesh.settings.table import (
    POD_INJECTED,
    RESERVED_CONTAINERS,
    RESERVED_VOLUMES,
    SIDECAR_CONTAINER,
    STATUS,
    TMP_VOLUME,
    TRUST_VOLUME,
)
from webhook.admission.documents import Container, Labels, Pod
from webhook.admission.probes import restore
from webhook.admission.proxy_variables import without
from webhook.admission.settings import InjectionSettings
from webhook.admission.trust import application_containers, without_trust

EVICTABLE = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
IN_MEMORY = frozenset({TMP_VOLUME, TRUST_VOLUME})


def strip(pod: Pod) -> None:
    """Remove from `pod`, in place, everything that bears a reserved name, and give it its own probes back.

    What stands in the application's containers otherwise stays: it is merged with what they hold.
    """
    spec, metadata = pod["spec"], pod["metadata"]
    init = spec.get("initContainers")
    if init and any(container["name"] in RESERVED_CONTAINERS for container in init):
        spec["initContainers"] = [one for one in init if one["name"] not in RESERVED_CONTAINERS]
        restore(pod, _sidecar(init))
    volumes = spec.get("volumes")
    if volumes and any(volume["name"] in RESERVED_VOLUMES for volume in volumes):
        spec["volumes"] = [volume for volume in volumes if volume["name"] not in RESERVED_VOLUMES]
    (metadata.get("labels") or {}).pop(POD_INJECTED.name, None)
    (metadata.get("annotations") or {}).pop(STATUS.name, None)


def unevictable(annotations: Labels) -> None:
    """Take our volumes out of the list of those that may be lost with a node, and the list with it if empty."""
    listed = [name.strip() for name in annotations.get(EVICTABLE, "").split(",")]
    if not IN_MEMORY & set(listed):
        return
    kept = [name for name in listed if name and name not in IN_MEMORY]
    if kept:
        annotations[EVICTABLE] = ",".join(kept)
    else:
        del annotations[EVICTABLE]


def uninject(pod: Pod, settings: InjectionSettings) -> None:
    """Remove from `pod`, in place, everything that injection adds, as far as it can be told from the author's.

    Pull secrets stay, because a pod may have had them before. Empty parents that injection may have made go.
    """
    spec, metadata = pod["spec"], pod["metadata"]
    strip(pod)
    for container in application_containers(pod):
        without_trust(container)
        if container.get("env"):
            container["env"] = without(container, settings)
        if container.get("env") == []:
            del container["env"]
    annotations = metadata.get("annotations")
    if annotations is not None:
        unevictable(annotations)
        if annotations.get(DEFAULT_CONTAINER) == only_container(pod):
            annotations.pop(DEFAULT_CONTAINER, None)
        if not annotations:
            del metadata["annotations"]
    if metadata.get("labels") == {}:
        del metadata["labels"]
    if spec.get("initContainers") == []:
        del spec["initContainers"]
    if spec.get("volumes") == []:
        del spec["volumes"]


def only_container(pod: Pod) -> str | None:
    """The name of the application's container, where there is exactly one."""
    containers = pod["spec"]["containers"]
    return containers[0]["name"] if len(containers) == 1 else None


def is_injected(pod: Pod) -> bool:
    """Does the pod hold anything that only injection adds?"""
    init = pod["spec"].get("initContainers") or ()
    labels = pod["metadata"].get("labels") or {}
    return POD_INJECTED.name in labels or any(container["name"] in RESERVED_CONTAINERS for container in init)


def _sidecar(init: list[Container]) -> Container | None:
    return next((container for container in init if container["name"] == SIDECAR_CONTAINER), None)
