"""Do pods run with the settings that hold now? Told by making them anew: from the pod as its author wrote it.

Most settings stand in the sidecar's environment and nowhere in the status annotation, so that the containers and
volumes of the new pod are compared with those that run. Only what injection writes is: the API server and other
webhooks fill in fields of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from cli.check.objects import containers_of, counted, sidecar_of
from cli.cluster.answers import Obj
from mesh.settings.table import (
    ENV_AGENT_LABELS,
    ENV_CONTROL_ROOTS,
    HTTP_PROXY,
    NO_PROXY,
    REDIRECT_CONTAINER,
    RESERVED_CONTAINERS,
    RESERVED_VOLUMES,
)
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Namespace, Outcome
from webhook.admission.settings import InjectionSettings
from webhook.admission.shape import PodMalformed, as_pod
from webhook.admission.strip import uninject

_SHOWN = 4
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_TOLD_ELSEWHERE = frozenset({ENV_AGENT_LABELS.name, ENV_CONTROL_ROOTS.name})
# Without image and resources, of which the status tells, and what others set, such as the pull policy.
_KEYS = (
    "command",
    "args",
    "ports",
    "startupProbe",
    "readinessProbe",
    "livenessProbe",
    "lifecycle",
    "volumeMounts",
)


def made_anew(pod: Obj, namespace: Namespace, settings: InjectionSettings) -> Outcome:
    """What admission would make today of the pod as its author wrote it."""
    if sidecar_of(pod) is None:
        return inject(pod, namespace, settings)
    original = unshared(pod)
    try:
        uninject(as_pod(original), settings)
    except PodMalformed:
        return inject(pod, namespace, settings)
    return inject(original, namespace, settings)


def differing(pod: Obj, made: Obj) -> list[str]:
    """How a pod differs from the one that would be made now, in words; the first few."""
    told = list(dict.fromkeys(_differing(pod, made)))
    return [*told[:_SHOWN], *([f"{len(told) - _SHOWN} differences more"] if len(told) > _SHOWN else [])]


def _differing(pod: Obj, made: Obj) -> Iterator[str]:
    yield from _variables(sidecar_of(pod), sidecar_of(made))
    yield from _variables(_named(pod, REDIRECT_CONTAINER), _named(made, REDIRECT_CONTAINER))
    for new in containers_of(made):
        if new.get("name") not in RESERVED_CONTAINERS:
            old = _named(pod, str(new.get("name")))
            yield from (
                f"container {new.get('name')}, {told}"
                for told in _variables(old, new)
                if told.startswith((HTTP_PROXY.name, NO_PROXY.name))
            )
    old, new = sidecar_of(pod) or {}, sidecar_of(made) or {}
    yield from (f"{key} of the sidecar" for key in _KEYS if key in new and not covers(old.get(key), new[key]))
    users = [(one.get("securityContext") or {}).get("runAsUser") for one in (old, new)]
    if users[0] != users[1]:
        yield f"user {users[0]} is now {users[1]}"
    volumes = {one.get("name"): one for one in (pod.get("spec") or {}).get("volumes") or ()}
    for volume in made["spec"].get("volumes") or ():
        if volume["name"] in RESERVED_VOLUMES and not covers(volumes.get(volume["name"]), volume):
            yield f"volume {volume['name']}"


def covers(old: Any, new: Any) -> bool:
    """Does `old` hold everything that `new` does? It may hold more, as the API server fills in the rest."""
    if isinstance(new, dict):
        return isinstance(old, dict) and all(covers(old.get(key), value) for key, value in new.items())
    if isinstance(new, list) and new and isinstance(new[0], dict):
        return isinstance(old, list) and all(any(covers(one, value) for one in old) for value in new)
    return bool(old == new)


def _named(pod: Obj, name: str) -> Obj | None:
    return next((one for one in containers_of(pod) if one.get("name") == name), None)


def _variables(old: Obj | None, new: Obj | None) -> Iterator[str]:
    """Variables whose values differ. Labels of admission and roots have checks of their own."""
    before, after = _values(old), _values(new)
    for name in {**before, **after}:
        if name not in _TOLD_ELSEWHERE and before.get(name) != after.get(name):
            yield f"{name} {_told(before.get(name))} is now {_told(after.get(name))}"


def _told(value: str | None) -> str:
    """A value as a line shows it: of certificates how many they are, and what tells them from others."""
    if not value:
        return "(not set)"
    held = value.count(_CERTIFICATE)
    if not held:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"({counted(held, 'certificate', 'certificates')}, SHA-256 {digest})"


def _values(container: Obj | None) -> dict[str, str]:
    """Those with a value of their own; the rest the kubelet fills in."""
    return {
        str(one.get("name")): str(one["value"])
        for one in (container or {}).get("env") or ()
        if one.get("value") is not None
    }
