"""Injection as a pure function: a pod, its namespace and the platform's settings in; an outcome out.

No clock, no I/O, no randomness: the webhook and `outrider inject` call the same function, and a pod comes out the
same whoever calls it and however often.

    shape -> opted in? -> possible? -> strip our own -> every conflict and invalid setting -> build -> difference
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec

from mesh.reasons import Reason
from mesh.settings import table
from mesh.settings.lists import PortList, items
from webhook.admission.boundary import slack, undoing
from webhook.admission.container import sidecar, volumes
from webhook.admission.credential_secrets import credentials_shared
from webhook.admission.documents import LocalReference, Pod
from webhook.admission.hidden_secrets import hide
from webhook.admission.node import reaching_node
from webhook.admission.optin import opted_in
from webhook.admission.outcome import Injection, Namespace, Outcome, Problem, Refusal, Skipped
from webhook.admission.parameters import resolve
from webhook.admission.patch import difference
from webhook.admission.permission import own_resolvers, weakened
from webhook.admission.plan import Plan, capture_problems, effective, hindrances, own_uid
from webhook.admission.probes import rewrite
from webhook.admission.proxy_variables import merge, repoint, without
from webhook.admission.redirect import redirect
from webhook.admission.settings import InjectionSettings
from webhook.admission.shape import PodMalformed, as_pod, sidecar_of
from webhook.admission.strip import (
    DEFAULT_CONTAINER,
    EVICTABLE,
    IN_MEMORY,
    Added,
    evictable,
    is_injected,
    only_container,
    strip,
)
from webhook.admission.structure import conflicts, impossible, warnings
from webhook.admission.trust import application_containers, keep_environment, trust, without_trust

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
    if isinstance(wanted, Skipped):
        return wanted
    if isinstance(wanted, Refusal):
        return Refusal.of([*wanted.problems, *resolve(original, namespace, settings)[1]])
    obstacles = impossible(original)
    # What an earlier call added must not stay: redirection would be that of the node.
    if obstacles and not wanted.insisted and not is_injected(original):
        return Skipped(obstacles[0].reason, obstacles[0].reason.sentence)
    return _inject(original, namespace, settings, obstacles)


def _inject(
    original: Pod, namespace: Namespace, settings: InjectionSettings, obstacles: list[Problem]
) -> Outcome:
    pod: Pod = unshared(original)
    strip(pod)
    repoint(application_containers(pod), sidecar_of(original), settings)
    plan, invalid = _plan(pod, namespace, settings)
    trusting, said = _set_trust(pod, plan)
    problems = [*obstacles, *conflicts(pod, settings, own_uid=plan.own_uid), *trusting]
    problems += _unknown_roots(settings)
    if plan.transparent:
        problems += [*undoing(pod, settings), *own_resolvers(pod, settings)]
        said += slack(pod)
        _remove_proxy_variables(pod, settings)
        probes, refused = rewrite(pod, _excluded(plan), settings)
        plan = replace(plan, probes=probes)
        problems += refused
    else:
        contradicting, leading_past = _set_proxy_variables(pod, settings)
        problems += contradicting
        said += leading_past
    problems += reaching_node(pod, settings, own_uid=plan.own_uid)
    hidden, exposed = hide(pod, *_to_hide(pod, plan))
    if hidden:
        plan = replace(plan, hidden=tuple(hidden))
    said += credentials_shared(pod, plan.credential_secrets)
    problems += [*exposed, *invalid]
    if problems:
        return Refusal.of(problems)
    warned = tuple(_clipped(warning) for warning in (*warnings(pod, settings), *said))
    _mark(pod)
    status = _status(plan, settings, _added(pod, settings))
    _annotate(pod, plan, settings, status)
    _add(pod, plan, settings)
    return Injection(pod, difference(original, pod), status, warned)


def _plan(pod: Pod, namespace: Namespace, settings: InjectionSettings) -> tuple[Plan, list[Problem]]:
    """How the pod is to be made, and every setting that cannot be."""
    parameters, problems = resolve(pod, namespace, settings)
    hindered = hindrances(namespace, settings)
    wanted = parameters[table.CAPTURE.name].value
    annotations = pod["metadata"].get("annotations") or {}
    plan = Plan(parameters, effective(wanted, hindered), own_uid(namespace))
    problems += capture_problems(wanted, hindered)
    problems += weakened(annotations, namespace, settings, hindered)
    own = _excluded(plan) & settings.ports.reserved
    if own:
        ports = ", ".join(map(str, sorted(own)))
        written = f"annotation {table.EXCLUDE_INBOUND_PORTS.name}={plan[table.EXCLUDE_INBOUND_PORTS.name]!r}"
        detail = f"{written} names ports of the sidecar itself: {ports}; allowed: those of the application"
        problems.append(Problem(Reason.ANNOTATION_INVALID, detail))
    return plan, problems


def _to_hide(pod: Pod, plan: Plan) -> tuple[list[str], frozenset[str]]:
    """The variables to hide, and those of them that the pod itself names."""
    named, own = plan[table.HIDE_SECRETS.name], (pod["metadata"].get("annotations") or {})
    if table.HIDE_SECRETS.values.problem(named):
        return [], frozenset()  # told already
    return items(named), frozenset(items(own.get(table.HIDE_SECRETS.name, "")))


def _excluded(plan: Plan) -> frozenset[int]:
    values, text = table.EXCLUDE_INBOUND_PORTS.values, plan[table.EXCLUDE_INBOUND_PORTS.name]
    if not isinstance(values, PortList) or values.problem(text):
        return frozenset()
    return values.read(text)


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
    for container in application_containers(pod):
        merged = merge(container, settings)
        container["env"] = merged.env
        problems += merged.problems
        said += merged.warnings
    return problems, said


def _remove_proxy_variables(pod: Pod, settings: InjectionSettings) -> None:
    """Of an earlier injection with explicit capture: the kernel needs no help."""
    for container in application_containers(pod):
        if container.get("env"):
            keep_environment(container, without(container, settings))


def _set_trust(pod: Pod, plan: Plan) -> tuple[list[Problem], list[str]]:
    if plan.interception:
        return trust(pod)
    for container in application_containers(pod):
        without_trust(container)
    return [], []


def _mark(pod: Pod) -> None:
    pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), table.POD_INJECTED.name: "true"}


def _annotate(pod: Pod, plan: Plan, settings: InjectionSettings, status: dict[str, Any]) -> None:
    annotations = dict(pod["metadata"].get("annotations") or {})
    chosen = status.get("added", {}).get("defaultContainer")
    if chosen:
        annotations[DEFAULT_CONTAINER] = chosen
    annotations[EVICTABLE] = evictable(annotations.get(EVICTABLE, ""), _in_memory(plan, settings))
    annotations[table.STATUS.name] = json.dumps(status, sort_keys=True, separators=(",", ":"))
    pod["metadata"]["annotations"] = annotations


def _in_memory(plan: Plan, settings: InjectionSettings) -> list[str]:
    """The volumes that may be lost with a node."""
    return [one["name"] for one in volumes(plan, settings) if "emptyDir" in one and one["name"] in IN_MEMORY]


def _unknown_roots(settings: InjectionSettings) -> list[Problem]:
    """Without roots the sidecar would trust nobody, and nothing may choose them for it later."""
    if not settings.control_plane.present or settings.control_plane.roots:
        return []
    return [Problem(Reason.CONTROL_ROOTS_UNKNOWN, f"for {settings.control_plane.url}")]


def _add(pod: Pod, plan: Plan, settings: InjectionSettings) -> None:
    spec = pod["spec"]
    # Container resources above those of the pod are refused by the API server, and the pod's own cover all.
    with_resources = not spec.get("resources")
    first = [redirect(plan, settings, with_resources=with_resources)] if plan.transparent else []
    ours = sidecar(pod, plan, settings, with_resources=with_resources)
    if settings.native:
        first.append(ours)
    else:
        spec["containers"] = [ours, *spec["containers"]]
    if first:
        spec["initContainers"] = [*first, *(spec.get("initContainers") or ())]
    spec["volumes"] = [*(spec.get("volumes") or ()), *volumes(plan, settings)]
    missing = [LocalReference(name=name) for name in _missing_pull_secrets(pod, settings)]
    if missing:
        spec["imagePullSecrets"] = [*(spec.get("imagePullSecrets") or []), *missing]


def _missing_pull_secrets(pod: Pod, settings: InjectionSettings) -> list[str]:
    names = {reference.get("name") for reference in pod["spec"].get("imagePullSecrets") or ()}
    return [name for name in dict.fromkeys(settings.image_pull_secrets) if name not in names]


def _added(pod: Pod, settings: InjectionSettings) -> Added:
    """What is to be added to `pod` that bears no name of ours, so that it can be taken out again."""
    chosen = DEFAULT_CONTAINER in (pod["metadata"].get("annotations") or {})
    # Without the annotation kubectl takes the first container, and that may be the sidecar.
    default = only_container(pod) if settings.native else pod["spec"]["containers"][0]["name"]
    return Added("" if chosen else default or "", tuple(_missing_pull_secrets(pod, settings)))


def _status(plan: Plan, settings: InjectionSettings, added: Added) -> dict[str, Any]:
    more = msgspec.to_builtins(added)
    return {
        "version": table.VERSION,
        "image": settings.image,
        "sidecar": "native" if settings.native else "container",
        **({"added": more} if more else {}),
        "capture": str(plan.capture),
        "settings": {
            name.removeprefix(table.PREFIX): {"value": parameter.value, "layer": str(parameter.layer)}
            for name, parameter in plan.parameters.items()
            if parameter.value
        },
    }


def _clipped(warning: str) -> str:
    return warning if len(warning) <= _WARNING_LENGTH else warning[: _WARNING_LENGTH - 1] + "…"
