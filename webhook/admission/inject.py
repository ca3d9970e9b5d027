"""Injection as a pure function: a pod, its namespace and the platform's settings in; an outcome out.

No clock, no I/O, no randomness: the webhook and `outrider inject` call the same function, and a pod comes out the
same whoever calls it and however often.

    shape -> opted in? -> possible? -> strip our own -> every conflict and invalid setting -> build -> difference
"""

from __future__ import annotations

import json
from typing import Any

from mesh.reasons import Reason
from mesh.settings import table
from webhook.admission.container import sidecar, volumes
from webhook.admission.documents import Container, LocalReference, Pod
from webhook.admission.optin import opted_in
from webhook.admission.outcome import Injection, Namespace, Outcome, Problem, Refusal, Skipped
from webhook.admission.parameters import Parameters, resolve
from webhook.admission.patch import difference
from webhook.admission.proxy_variables import merge
from webhook.admission.settings import InjectionSettings
from webhook.admission.shape import PodMalformed, as_pod
from webhook.admission.strip import DEFAULT_CONTAINER, EVICTABLE, only_container, strip
from webhook.admission.structure import conflicts, impossible, warnings

# OpenShift gives every namespace a range of UIDs and refuses containers that ask for another one.
UID_RANGE_ANNOTATION = "openshift.io/sa.scc.uid-range"
# The API documents 120 characters for one warning; the reply puts "outrider: " before it.
_WARNING_LENGTH = 110


def inject(pod: dict[str, Any], namespace: Namespace, settings: InjectionSettings) -> Outcome:
    """Decide about `pod`, which stays unchanged, and build what becomes of it.

    Returns:
        Injection with the new pod and the patch to it, Skipped where the pod stays as it is on purpose, or
        Refusal with everything that is wrong with it. Nothing is raised, whatever `pod` holds.
    """
    try:
        original = as_pod(pod)
    except PodMalformed as error:
        return Refusal.of([Problem(Reason.POD_MALFORMED, str(error))])
    labels = original["metadata"].get("labels") or {}
    ignored = namespace.name in settings.ignored_namespaces
    wanted = opted_in(namespace.labels, labels, ignored=ignored)
    if isinstance(wanted, Skipped | Refusal):
        return wanted
    obstacles = impossible(original)
    if obstacles and not wanted.insisted:
        return Skipped(obstacles[0].reason, obstacles[0].reason.sentence)
    return _inject(original, namespace, settings, obstacles)


def _inject(
    original: Pod, namespace: Namespace, settings: InjectionSettings, obstacles: list[Problem]
) -> Outcome:
    pod: Pod = unshared(original)
    own_uid = UID_RANGE_ANNOTATION not in namespace.annotations
    strip(pod)
    parameters, invalid = resolve(pod, namespace, settings)
    proxy_problems, proxy_warnings = _set_proxy_variables(pod, settings)
    problems = [*obstacles, *conflicts(pod, settings, own_uid=own_uid), *proxy_problems, *invalid]
    if problems:
        return Refusal.of(problems)
    said = tuple(_clipped(warning) for warning in (*warnings(pod), *proxy_warnings))
    _mark(pod)
    status = _status(parameters, settings)
    _annotate(pod, status)
    _add(pod, sidecar(pod, parameters, settings, own_uid=own_uid), settings)
    return Injection(pod, difference(original, pod), status, said)


def unshared(value: Any) -> Any:
    """A copy of a JSON document in which no two places are the same object, as YAML aliases make them."""
    if isinstance(value, dict):
        return {key: unshared(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unshared(item) for item in value]
    return value


def _set_proxy_variables(pod: Pod, settings: InjectionSettings) -> tuple[list[Problem], list[str]]:
    problems: list[Problem] = []
    said: list[str] = []
    for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
        merged = merge(container, settings)
        container["env"] = merged.env
        problems += merged.problems
        said += merged.warnings
    return problems, said


def _mark(pod: Pod) -> None:
    pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), table.POD_INJECTED.name: "true"}


def _annotate(pod: Pod, status: dict[str, Any]) -> None:
    annotations = dict(pod["metadata"].get("annotations") or {})
    alone = only_container(pod)
    if alone is not None:
        annotations.setdefault(DEFAULT_CONTAINER, alone)
    evictable = [name.strip() for name in annotations.get(EVICTABLE, "").split(",") if name.strip()]
    if table.TMP_VOLUME not in evictable:
        annotations[EVICTABLE] = ",".join((*evictable, table.TMP_VOLUME))
    annotations[table.STATUS.name] = json.dumps(status, sort_keys=True, separators=(",", ":"))
    pod["metadata"]["annotations"] = annotations


def _add(pod: Pod, container: Container, settings: InjectionSettings) -> None:
    spec = pod["spec"]
    spec["initContainers"] = [container, *(spec.get("initContainers") or ())]
    spec["volumes"] = [*(spec.get("volumes") or ()), *volumes(settings)]
    present = spec.get("imagePullSecrets") or []
    names = {reference.get("name") for reference in present}
    missing = [name for name in dict.fromkeys(settings.image_pull_secrets) if name not in names]
    if missing:
        spec["imagePullSecrets"] = [*present, *[LocalReference(name=name) for name in missing]]


def _status(parameters: Parameters, settings: InjectionSettings) -> dict[str, Any]:
    return {
        "version": table.VERSION,
        "image": settings.image,
        "settings": {
            name.removeprefix(table.PREFIX): {"value": parameter.value, "layer": str(parameter.layer)}
            for name, parameter in parameters.items()
        },
    }


def _clipped(warning: str) -> str:
    return warning if len(warning) <= _WARNING_LENGTH else warning[: _WARNING_LENGTH - 1] + "…"
