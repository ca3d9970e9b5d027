"""Containers that are added to a running pod (`kubectl debug`): looked at as those that it began with were.

Nothing is injected, since a pod's own containers cannot change any more; they are let through or refused. Whether
the pod is captured by the kernel shows in its init containers, which nobody can alter, unlike its annotations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from mesh.reasons import Reason
from mesh.settings.table import REDIRECT_CONTAINER, RESERVED_CONTAINERS
from webhook.admission.boundary import undoing
from webhook.admission.documents import Container, Pod, SecurityContext
from webhook.admission.hidden_secrets import exposed, hidden_in
from webhook.admission.node import reaching_node
from webhook.admission.outcome import Namespace, Problem, Refusal, Skipped
from webhook.admission.plan import own_uid
from webhook.admission.settings import InjectionSettings
from webhook.admission.shape import PodMalformed, as_pod, sidecar_of
from webhook.admission.structure import conflicts


def admit_ephemeral(
    new: dict[str, Any], old: dict[str, Any], namespace: Namespace, settings: InjectionSettings
) -> Refusal | Skipped:
    """Whether the containers that `new` has and `old` has not may run. Nothing is raised, whatever they hold."""
    try:
        pod = as_pod(new)
    except PodMalformed as error:
        return Refusal.of([Problem(Reason.POD_MALFORMED, str(error))])
    sidecar = sidecar_of(pod)
    if sidecar is None:
        return _passed()
    transparent = any(one["name"] == REDIRECT_CONTAINER for one in pod["spec"].get("initContainers") or ())
    user = (sidecar.get("securityContext") or SecurityContext()).get("runAsUser")
    if user is not None:
        settings = replace(settings, uid=user)  # that of this pod, whatever holds by now
    added = _only(pod, _added(pod, old))
    own = own_uid(namespace)
    problems = [*_joining(added), *conflicts(added, settings, own_uid=own)]
    volumes = pod["spec"].get("volumes") or ()
    problems += exposed(added["spec"]["ephemeralContainers"] or (), volumes, hidden_in(pod, sidecar))
    if transparent:
        problems += undoing(added, settings)
    problems += reaching_node(added, settings, own_uid=own)
    return Refusal.of(problems) if problems else _passed()


def _passed() -> Skipped:
    return Skipped(Reason.CONTAINERS_ADDED, Reason.CONTAINERS_ADDED.sentence)


def _added(pod: Pod, old: dict[str, Any]) -> list[Container]:
    """The ephemeral containers that are new; those that are there already cannot be taken away."""
    try:
        present = as_pod(old)["spec"].get("ephemeralContainers") or ()
    except PodMalformed:
        present = ()
    names = {container["name"] for container in present}
    return [one for one in pod["spec"].get("ephemeralContainers") or () if one["name"] not in names]


def _only(pod: Pod, containers: list[Container]) -> Pod:
    """`pod` as if it had no others."""
    spec = {**pod["spec"], "initContainers": [], "containers": [], "ephemeralContainers": containers}
    return cast("Pod", {**pod, "spec": spec})


def _joining(pod: Pod) -> Iterator[Problem]:
    for container in pod["spec"].get("ephemeralContainers") or ():
        target = container.get("targetContainerName")
        if target in RESERVED_CONTAINERS:
            detail = f"container {container['name']}, targetContainerName {target}"
            yield Problem(Reason.SIDECAR_JOINED, detail)
