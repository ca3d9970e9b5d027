"""Checks of where sidecars get their identity, and of who else could take it."""

from __future__ import annotations

from datetime import datetime

from cli.check.installed import settings_in
from cli.check.objects import containers_of, ended, inner, name_of
from cli.check.result import Result, failed, judged, ok, skipped
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Obj
from mesh.settings.table import RESERVED_CONTAINERS
from webhook.admission.identity import SPIFFE_CSI as DRIVER
from webhook.admission.identity import needed_driver


def driver(snapshot: Snapshot, now: datetime) -> Result:
    """The CSI driver that the settings rely on is installed."""
    settings = settings_in(snapshot)
    wanted = DRIVER if settings is None else needed_driver(settings.identity)
    if settings is not None and not wanted:
        volume = (
            f", its volume {settings.identity.volume}" if settings.identity.chosen == "workload-api" else ""
        )
        return ok(f"no CSI driver is needed: identity.provider is {settings.identity.chosen}{volume}")
    if snapshot.csi_drivers.unread:
        return skipped(f"CSI drivers cannot be listed: {snapshot.csi_drivers.unread}")
    if snapshot.csi_drivers.named(wanted) is None:
        return failed(f"there is no CSIDriver {wanted}")
    return ok(wanted)


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
