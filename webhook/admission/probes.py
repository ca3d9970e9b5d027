"""Probes under transparent capture: the kubelet asks the sidecar, and the sidecar asks the application.

The kubelet speaks no mutual TLS, so what it asks a captured port is refused; to leave the port out of capture
would open it to everybody. So each probe is pointed at the sidecar's telemetry port, and what it was goes into the
sidecar's environment. From there a second call of admission takes it back, before it begins again.

A probe that the author pointed at another host is left alone: it never came in. So is one on a port that capture
leaves out, which the kubelet reaches as before.

Hooks are refused and not pointed there: the telemetry port is open to everybody, and while it harms nobody to ask
once more whether an application is well, a hook makes it do something, such as to shut down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mesh.reasons import Reason
from mesh.settings.table import APP_HEALTH_PATH, ENV_APPLICATION_PROBES
from webhook.admission.documents import Container, Handler, Pod, ProbeAction
from webhook.admission.outcome import Problem
from webhook.admission.settings import InjectionSettings
from webhook.admission.stored import encoded, stored
from webhook.admission.trust import application_containers

_PROBES = {"startupProbe": "startup", "readinessProbe": "readiness", "livenessProbe": "liveness"}
# Pointed at the sidecar by an earlier version: they are given back.
_HOOKS = {"postStart": "post-start", "preStop": "pre-stop"}
_ACTIONS = ("httpGet", "tcpSocket", "grpc")
# RFC 9110, section 5: what may stand in the name and in the value of a field.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")

Original = dict[str, Any]
"""One action as its author wrote it, under its kind; `port`, with its name resolved; `timeoutSeconds`."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a probe or a hook stands. `name` is what it is called below APP_HEALTH_PATH."""

    name: str
    container: Container
    holder: dict[str, Any]
    key: str

    @property
    def handler(self) -> Handler:
        handler: Handler = self.holder[self.key]
        return handler


def rewrite(pod: Pod, excluded: frozenset[int], settings: InjectionSettings) -> tuple[str, list[Problem]]:
    """Point the probes of `pod` at the sidecar, in place; returns the originals as JSON ("" for none), and what is
    wrong with them and with hooks.

    `excluded` are the ports that capture leaves alone.
    """
    originals: dict[str, Original] = {}
    problems: list[Problem] = []
    for place in _places(pod):
        found = _action(place.handler)
        if found is None or found[1].get("host"):
            continue
        kind, action = found
        where = f"container {place.container['name']}, {place.key}"
        port = _port(action.get("port"), place.container)
        if place.key in _HOOKS:
            if port not in excluded:
                problems.append(Problem(Reason.HOOK_REFUSED, f"{where}, {kind}"))
            continue
        faults = _faults(kind, action, port, settings)
        problems += [Problem(Reason.PROBE_REFUSED, f"{where} {fault}") for fault in faults]
        if faults or port in excluded:
            continue
        seconds = place.handler.get("timeoutSeconds") or 1
        originals[place.name] = {kind: action, "port": port, "timeoutSeconds": seconds}
        # With the scheme that the API server would add, so that a second call finds nothing to take away.
        asked = {"path": APP_HEALTH_PATH + place.name, "port": settings.ports.telemetry, "scheme": "HTTP"}
        rest = {key: value for key, value in place.handler.items() if key not in _ACTIONS}
        place.holder[place.key] = {**rest, "httpGet": asked}
    return encoded(originals), problems


def restore(pod: Pod, sidecar: Container | None) -> None:
    """Give `pod`, in place, the probes that `rewrite` replaced, as the environment of `sidecar` tells them.

    Whoever forges that environment says only what the probes of their own containers are.
    """
    originals: dict[str, Any] = stored(sidecar, ENV_APPLICATION_PROBES, Handler)
    if not originals:
        return
    for place in _places(pod):
        original = originals.get(place.name)
        asked = place.handler.get("httpGet")
        if original is None or not asked or asked.get("path") != APP_HEALTH_PATH + place.name:
            continue
        rest = {key: value for key, value in place.handler.items() if key not in _ACTIONS}
        action = {kind: original[kind] for kind in _ACTIONS if kind in original}
        place.holder[place.key] = {**rest, **action}


def _places(pod: Pod) -> Iterator[_Place]:
    for container in application_containers(pod):
        lifecycle = container.get("lifecycle") or {}
        for holder, keys in ((container, _PROBES), (lifecycle, _HOOKS)):
            for key, name in keys.items():
                if holder.get(key):
                    yield _Place(f"{container['name']}/{name}", container, holder, key)  # type: ignore[arg-type]


def _action(handler: Handler) -> tuple[str, ProbeAction] | None:
    """The one action of a probe that goes over the network, without keys that say nothing."""
    for kind in _ACTIONS:
        action = handler.get(kind)
        if isinstance(action, dict):
            return kind, {key: value for key, value in action.items() if value is not None}  # type: ignore[return-value]
    return None


def _port(port: int | str | None, container: Container) -> int | None:
    """The number of a port that may be a name, as the kubelet finds it."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return declared["containerPort"]
    return int(port) if port and port.isascii() and port.isdigit() and len(port) <= 5 else None


def _faults(kind: str, action: ProbeAction, port: int | None, settings: InjectionSettings) -> list[str]:
    found = []
    if port is None or not 1 <= port <= 65535:
        found.append(f"asks port {action.get('port')!r}, which the container does not declare")
    elif port in settings.ports.reserved:
        found.append(f"asks port {port}, which is the sidecar's own")
    for header in action.get("httpHeaders") or ():
        name, value = header.get("name") or "", header.get("value") or ""
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            found.append(f"sends a header that is none: {name!r}")
    if kind == "httpGet" and (action.get("scheme") or "HTTP") not in ("HTTP", "HTTPS"):
        found.append(f"has the scheme {action.get('scheme')!r}; allowed: HTTP, HTTPS")
    return found
