"""Is it a pod? Checks a document from outside against the fields that admission relies on.

The API server sends only valid pods; the command line reads whatever people wrote. After this check the rest of
admission may trust the types of `documents`, and a document that fails it is refused with the place that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from mesh.settings.table import SIDECAR_CONTAINER
from webhook.admission.documents import Container, Pod


class PodMalformed(Exception):
    """Whoever wrote the object wrote no pod; the text says where it stops being one."""


def as_pod(document: object) -> Pod:
    """`document` itself, once it is known to be shaped like a pod.

    Raises:
        PodMalformed: a field that admission reads has another type, or there is no container.
    """
    if not isinstance(document, Mapping):
        raise PodMalformed("there is no object where a pod should be")
    try:
        # What YAML may hold and JSON may not: half a surrogate pair, and keys that are no text.
        msgspec.json.encode(document)
    except (ValueError, TypeError, OverflowError, RecursionError, msgspec.EncodeError) as error:
        raise PodMalformed(f"it cannot be written as JSON: {error}") from None
    try:
        msgspec.convert(document, Pod)
    except msgspec.ValidationError as error:
        raise PodMalformed(str(error)) from None
    pod = cast("Pod", document)
    if not isinstance(pod.get("metadata"), dict):
        raise PodMalformed("it has no metadata")
    if not pod.get("spec", {}).get("containers"):
        raise PodMalformed("spec.containers is missing or empty")
    for container in every_container(pod):
        _named(container)
    for volume in pod["spec"].get("volumes") or ():
        if not volume.get("name"):
            raise PodMalformed("an item of spec.volumes has no name")
    return pod


def every_container(pod: Pod) -> list[Container]:
    """Init, application and ephemeral containers, in that order."""
    spec = pod["spec"]
    return [
        *(spec.get("initContainers") or ()),
        *spec["containers"],
        *(spec.get("ephemeralContainers") or ()),
    ]


def sidecar_of(pod: Pod) -> Container | None:
    """The sidecar, or what bears its name: a native one stands in initContainers, another in containers."""
    spec = pod["spec"]
    both = (*(spec.get("initContainers") or ()), *spec["containers"])
    return next((container for container in both if container["name"] == SIDECAR_CONTAINER), None)


def _named(container: Container) -> None:
    name = container.get("name")
    if not name:
        raise PodMalformed("a container has no name")
    if not all(variable.get("name") for variable in container.get("env") or ()):
        raise PodMalformed(f"container {name} has an environment variable without a name")
    if not all("containerPort" in port for port in container.get("ports") or ()):
        raise PodMalformed(f"container {name} has a port without containerPort")
