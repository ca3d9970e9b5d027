"""Running pods whose sidecar gets another image: the one thing about a container that an update can change.

Whoever may update pods would otherwise run what they like with the sidecar's identity. Where the cluster has
ValidatingAdmissionPolicies the final state policy sees to it, and nobody asks here. The chart knows which
repositories the image may come from and asks about others only; what is asked all the same is held to the
repository that the settings name.
"""

from __future__ import annotations

from typing import Any

from mesh.reasons import Reason
from mesh.settings.table import RESERVED_CONTAINERS
from webhook.admission.documents import Pod
from webhook.admission.outcome import Problem, Refusal, Skipped
from webhook.admission.settings import InjectionSettings
from webhook.admission.shape import PodMalformed, as_pod


def admit_update(new: dict[str, Any], old: dict[str, Any], settings: InjectionSettings) -> Refusal | Skipped:
    """Whether the sidecar of a running pod may have the image it gets. Nothing is raised, whatever they hold."""
    try:
        wanted, had = _images(as_pod(new)), _images(as_pod(old))
    except PodMalformed as error:
        return Refusal.of([Problem(Reason.POD_MALFORMED, str(error))])
    ours = repository(settings.image)
    problems = [
        Problem(Reason.SIDECAR_IMAGE, f"container {name}, image {image}")
        for name, image in sorted(wanted - had)
        if repository(image) != ours
    ]
    if problems:
        return Refusal.of(problems)
    return Skipped(Reason.NOT_VALIDATED, Reason.NOT_VALIDATED.sentence)


def repository(image: str) -> str:
    """The repository of an image reference, without tag and digest."""
    named = image.partition("@")[0]
    folder, slash, last = named.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _images(pod: Pod) -> set[tuple[str, str]]:
    spec = pod["spec"]
    every = (*(spec.get("initContainers") or ()), *spec["containers"])
    return {(one["name"], one.get("image") or "") for one in every if one["name"] in RESERVED_CONTAINERS}
