"""Containers that reach the node, where the keys of every sidecar lie.

A sidecar's token and what it hides are files below the kubelet's folder, and its memory is a process of the node.
So a privileged container has them whatever the capture, and so has one that mounts a folder of the node which
holds them, or a socket by which it may start containers. Who merely sees the node's /proc is held to what holds
for shared processes.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh.reasons import Reason
from webhook.admission.documents import Container, Pod, SecurityContext
from webhook.admission.outcome import Problem
from webhook.admission.permission import HOST_PATHS, PRIVILEGED_CONTAINERS
from webhook.admission.settings import InjectionSettings
from webhook.admission.shape import every_container
from webhook.admission.structure import capabilities, may_trace, reaches

# As good as privileged: mount, load code into the kernel, read its memory, open files of the node by their number.
_REACHING = frozenset({"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "BPF", "PERFMON", "DAC_READ_SEARCH"})
_PROC = "/proc"
FOLDERS = (
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/rancher",
    "/var/lib/k0s",
    "/var/snap/microk8s",
    "/etc/kubernetes",
    "/run/containerd",
    "/run/crio",
    "/run/docker",
    "/run/docker.sock",
    "/run/cri-dockerd.sock",
    "/run/k3s",
    "/run/k0s",
)
"""What holds the keys of pods, their file systems, or the means to start others as one likes."""


def reaching_node(pod: Pod, settings: InjectionSettings, *, own_uid: bool) -> Iterator[Problem]:
    """What in a pod (from which our own additions have been removed) reaches the keys of sidecars by the node.

    `own_uid` is False where the cluster gives all containers of a namespace one UID.
    """
    outer = pod["spec"].get("securityContext") or SecurityContext()
    paths = {
        volume["name"]: path
        for volume in pod["spec"].get("volumes") or ()
        if isinstance(path := (volume.get("hostPath") or {}).get("path"), str)
    }
    for container in every_container(pod):
        where = f"container {container['name']}"
        context = container.get("securityContext") or SecurityContext()
        if PRIVILEGED_CONTAINERS not in settings.allow:
            if context.get("privileged"):
                yield _problem(f"{where}, privileged", PRIVILEGED_CONTAINERS)
            elif added := sorted(_REACHING & capabilities(context, "add")):
                yield _problem(f"{where}, capabilities {', '.join(added)}", PRIVILEGED_CONTAINERS)
        if HOST_PATHS not in settings.allow:
            tracing = not own_uid or may_trace(context, outer)
            for name, path in _mounted(container, paths):
                if any(reaches(path, one) for one in (*FOLDERS, *([_PROC] if tracing else []))):
                    yield _problem(f"{where}, volume {name} (hostPath {path})", HOST_PATHS)


def _mounted(container: Container, paths: dict[str, str]) -> Iterator[tuple[str, str]]:
    names = dict.fromkeys(mount.get("name") or "" for mount in container.get("volumeMounts") or ())
    return ((name, paths[name]) for name in names if name in paths)


def _problem(what: str, word: str) -> Problem:
    return Problem(Reason.NODE_REACHED, f"{what}; allow: [{word}] would permit it")
