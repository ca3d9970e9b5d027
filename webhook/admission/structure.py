"""Pods that cannot have a sidecar, and pods that would defeat theirs.

`impossible` finds what no sidecar could work with; a pod whose namespace merely enables injection goes without
one then. `conflicts` finds what an author can mend and what would let the application act as its sidecar; that is
refused whoever asked.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Literal

from mesh.reasons import Reason
from mesh.settings.table import RESERVED_CONTAINERS, RESERVED_VOLUMES
from webhook.admission.documents import Container, Pod, PodSpec, SecurityContext
from webhook.admission.identity import identity_drivers, identity_exposed, mounts_any
from webhook.admission.outcome import Problem
from webhook.admission.settings import InjectionSettings
from webhook.admission.shape import every_container
from webhook.admission.trust import is_ours

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
# With one of these a process can read another one's memory and files through /proc.
_TRACING = frozenset({"ALL", "SYS_PTRACE", "SYS_ADMIN"})


def impossible(pod: Pod) -> list[Problem]:
    """Why no sidecar could work in this pod; empty when one could."""
    spec = pod["spec"]
    problems = []
    if spec.get("hostNetwork"):
        problems.append(Problem(Reason.HOST_NETWORK, ""))
    if MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or {}):
        problems.append(Problem(Reason.MIRROR_POD, ""))
    if _is_windows(spec):
        problems.append(Problem(Reason.WINDOWS_POD, ""))
    return problems


def conflicts(pod: Pod, settings: InjectionSettings, *, own_uid: bool) -> list[Problem]:
    """What in a pod (from which our own additions have been removed) would defeat the sidecar.

    `own_uid` is False where the cluster gives all containers of a namespace one UID (OpenShift).
    """
    spec = pod["spec"]
    outer = spec.get("securityContext") or {}
    shared = bool(spec.get("shareProcessNamespace") or spec.get("hostPID"))
    problems: list[Problem] = []
    for container in every_container(pod):
        problems += _container_conflicts(container, settings)
        context = container.get("securityContext") or SecurityContext()
        user = _user(context, outer)
        if own_uid and user == settings.uid:
            problems.append(Problem(Reason.SIDECAR_UID, f"container {container['name']} (UID {user})"))
        elif shared and (not own_uid or may_trace(context, outer)):
            problems.append(Problem(Reason.SHARED_PROCESSES, f"container {container['name']}"))
    return [*problems, *identity_exposed(pod, settings.identity, settings.control_plane)]


def warnings(pod: Pod, settings: InjectionSettings) -> list[str]:
    """What is allowed and yet worth saying to whoever creates the pod."""
    spec = pod["spec"]
    said = []
    if spec.get("shareProcessNamespace") or spec.get("hostPID"):
        said.append("shared processes: other containers can see the sidecar's process, though not its memory")
    for driver in sorted(identity_drivers(settings.identity)):
        offered = {
            volume["name"]
            for volume in spec.get("volumes") or ()
            if (volume.get("csi") or {}).get("driver") == driver
        }
        said.extend(
            f"container {container['name']} mounts {driver} itself and can act without its sidecar"
            for container in every_container(pod)
            if mounts_any(container, offered)
        )
    sockets = {
        volume["name"]
        for volume in spec.get("volumes") or ()
        if reaches((volume.get("hostPath") or {}).get("path"), settings.identity.host_path)
    }
    said.extend(
        f"container {container['name']} mounts the node's SPIRE socket itself and can act without its sidecar"
        for container in every_container(pod)
        if mounts_any(container, sockets)
    )
    if not settings.native:
        said += _without_native(spec)
    return said


def _without_native(spec: PodSpec) -> Iterator[str]:
    """What a sidecar among the ordinary containers cannot do."""
    if spec.get("restartPolicy") in ("OnFailure", "Never"):
        yield "without native sidecars this pod never completes: its sidecar goes on running"
    if spec.get("initContainers"):
        yield "without native sidecars init containers have no network: the sidecar starts after them"


def reaches(path: object, folder: str) -> bool:
    """Is one of two paths of the node within the other?"""
    if not isinstance(path, str) or not path.startswith("/"):
        return False
    one, other = _parts(path), _parts(folder)
    return all(mine == theirs for mine, theirs in zip(one, other, strict=False))


def _parts(path: str) -> list[str]:
    parts = [part for part in posixpath.normpath(path).split("/") if part]
    return parts[1:] if parts[:2] == ["var", "run"] else parts  # nodes have a link there


def _container_conflicts(container: Container, settings: InjectionSettings) -> Iterator[Problem]:
    name = container["name"]
    if name in RESERVED_CONTAINERS:
        yield Problem(Reason.RESERVED_NAME, f"container {name}")
    mounted = [mount.get("name") for mount in container.get("volumeMounts") or () if not is_ours(mount)]
    devices = [device.get("name") for device in container.get("volumeDevices") or ()]
    for volume in (*mounted, *devices, *_read_volumes(container)):
        if volume in RESERVED_VOLUMES:
            yield Problem(Reason.RESERVED_VOLUME, f"container {name}, volume {volume}")
    for port in container.get("ports") or ():
        if port["containerPort"] in settings.ports.reserved and (port.get("protocol") or "TCP") == "TCP":
            yield Problem(Reason.SIDECAR_PORT, f"container {name}, port {port['containerPort']}")


def _read_volumes(container: Container) -> Iterator[str]:
    """Volumes that variables of a container are read from, which it need not mount (Kubernetes 1.34)."""
    for variable in container.get("env") or ():
        file = (variable.get("valueFrom") or {}).get("fileKeyRef")
        if isinstance(file, dict) and isinstance(file.get("volumeName"), str):
            yield file["volumeName"]


def _user(context: SecurityContext, outer: SecurityContext) -> int | None:
    own = context.get("runAsUser")
    return own if own is not None else outer.get("runAsUser")


def capabilities(context: SecurityContext, which: Literal["add", "drop"]) -> frozenset[str]:
    """Capabilities that a container asks for or gives up, without the prefix CAP_."""
    names = (context.get("capabilities") or {}).get(which) or ()
    return frozenset(name.strip().upper().removeprefix("CAP_") for name in names)


def may_be_root(context: SecurityContext, outer: SecurityContext) -> bool:
    """May the container be root? What neither it nor the pod says counts against it."""
    user = _user(context, outer)
    if user is not None:
        return user == 0
    own = context.get("runAsNonRoot")
    return not (own if own is not None else outer.get("runAsNonRoot"))


def may_trace(context: SecurityContext, outer: SecurityContext) -> bool:
    """May the container be root, trace processes of others, or become the sidecar's user by a setuid program?"""
    if context.get("privileged") or _TRACING & capabilities(context, "add"):
        return True
    return may_be_root(context, outer) or context.get("allowPrivilegeEscalation") is not False


def _is_windows(spec: PodSpec) -> bool:
    system = (spec.get("os") or {}).get("name") or ""
    selector = (spec.get("nodeSelector") or {}).get("kubernetes.io/os", "")
    return "windows" in (system.lower(), selector.lower())
