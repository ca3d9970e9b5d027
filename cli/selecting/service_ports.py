"""Services that lead to a port which no container of their pods has, as after the sidecar's ports were changed.

Containers need not declare what they listen on. So a number that is not declared counts where the containers
declare others, and for certain only where it is one that sidecars have by default. A name counts always: without a
container that has it the Service gets no endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cli.check.objects import containers_of, inner, labels_of, name_of
from cli.cluster.answers import Obj
from cli.selecting.labels import matches
from mesh.settings.table import RESERVED_CONTAINERS
from webhook.admission.settings import Ports

_BY_DEFAULT = Ports().reserved


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A port of a Service, by its place in the list. `certain` where it cannot be one that nobody declared."""

    index: int
    target: int | str
    pods: tuple[str, ...]
    certain: bool


def unanswered(service: Obj, pods: Iterable[Obj]) -> Iterator[Unanswered]:
    """The ports of a Service that lead nowhere in all of the pods that it selects."""
    spec = service.get("spec")
    if not isinstance(spec, dict):
        return
    selector, listed = spec.get("selector"), spec.get("ports")
    if not selector or not isinstance(selector, dict) or not isinstance(listed, list):
        return
    chosen = [pod for pod in pods if matches({"matchLabels": selector}, labels_of(pod))]
    if not chosen or spec.get("clusterIP") == "None":
        return
    for index, port in enumerate(listed):
        if not isinstance(port, dict) or (port.get("protocol") or "TCP") != "TCP":
            continue
        target = port.get("targetPort", port.get("port"))
        certain = isinstance(target, str) or target in _BY_DEFAULT
        names = tuple(name_of(pod) for pod in chosen if _nowhere(pod, target, certain=certain))
        if len(names) == len(chosen) and isinstance(target, int | str):
            yield Unanswered(index, target, names, certain)


def _nowhere(pod: Obj, target: object, *, certain: bool) -> bool:
    ports = [(container, port) for container in containers_of(pod) for port in container.get("ports") or ()]
    if any(target in (port.get("containerPort"), port.get("name")) for _, port in ports):
        return False
    return certain or any(container.get("name") not in RESERVED_CONTAINERS for container, _ in ports)


def mutual_tls_port(pod: Obj) -> int | None:
    """Where the sidecar of a pod takes mutual TLS."""
    for container in containers_of(pod):
        for port in container.get("ports") or ():
            if port.get("name") == "outrider-mtls":
                return int(inner(port, "containerPort") or 0) or None
    return None
