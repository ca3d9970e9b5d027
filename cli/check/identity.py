"""Checks of where sidecars get their identity, and of who else could take it."""

from __future__ import annotations

from datetime import datetime

from cli.check.installed import settings_in
from cli.check.objects import containers_of, ended, inner, name_of
from cli.check.result import Result, failed, judged, ok, skipped
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Obj
from mesh.settings.installation import ROOTS, ROOTS_KEY
from mesh.settings.table import RESERVED_CONTAINERS
from webhook.admission.identity import needed_driver
from webhook.admission.identity import SPIFFE_CSI as DRIVER


def driver(snapshot: Snapshot, now: datetime) -> Result:
    """The CSI driver that the settings rely on is installed."""
    settings = settings_in(snapshot)
    wanted = DRIVER if settings is None else needed_driver(settings.identity)
    if settings is not None and not wanted:
        chosen, volume = settings.identity.chosen, settings.identity.volume
        return skipped(f"no CSI driver is needed: identity.provider is {chosen}, its volume {volume}")
    if snapshot.csi_drivers.unread:
        return skipped(f"CSI drivers cannot be listed: {snapshot.csi_drivers.unread}")
    if snapshot.csi_drivers.named(wanted) is None:
        return failed(f"there is no CSIDriver {wanted}")
    return ok(wanted)


def root(snapshot: Snapshot, now: datetime) -> Result:
    """Where sidecars reach the control plane, its roots are published."""
    settings, data = settings_in(snapshot), snapshot.data
    if settings is None or data is None:
        return skipped("the platform's settings cannot be read" if data else "no namespace was named")
    if not settings.control_plane.present:
        return ok("none is needed: sidecars have no control plane (controlPlane.url)")
    if data.root.unread:
        return skipped(f"ConfigMap {ROOTS} cannot be read: {data.root.unread}")
    if data.root.one is None:
        return failed(f"there is no ConfigMap {ROOTS} in namespace {snapshot.namespace}")
    if not inner(data.root.one, "data", ROOTS_KEY):
        return failed(f"ConfigMap {ROOTS} in namespace {snapshot.namespace} has no key {ROOTS_KEY}")
    return ok(f"ConfigMap {ROOTS} has {ROOTS_KEY}")


def mounted_elsewhere(snapshot: Snapshot, now: datetime) -> Result:
    """Only sidecars reach the SPIFFE Workload API; another container could act as the agent without one."""
    if snapshot.injected.unread:
        return skipped(f"injected pods cannot be listed: {snapshot.injected.unread}")
    pods = [pod for pod in snapshot.injected.items if not ended(pod)]
    problems = [
        f"pod {inner(pod, 'metadata', 'namespace')}/{name_of(pod)}: container {container} mounts {DRIVER}"
        for pod in pods
        for container in _mounting(pod)
    ]
    return judged(problems, f"none of {len(pods)} injected pods")


def _mounting(pod: Obj) -> list[str]:
    volumes = {
        volume.get("name")
        for volume in inner(pod, "spec", "volumes") or ()
        if inner(volume, "csi", "driver") == DRIVER
    }
    return [
        str(container.get("name"))
        for container in containers_of(pod)
        if container.get("name") not in RESERVED_CONTAINERS
        and any(mount.get("name") in volumes for mount in container.get("volumeMounts") or ())
    ]
