"""Checks of the cluster's own parts: API server and kubelets."""

from __future__ import annotations

from datetime import datetime

from cli.check.objects import counted, inner, minor_version, name_of
from cli.check.result import Result, failed, ok, skipped
from cli.check.snapshot import Snapshot

OLDEST = (1, 29)
"""Native sidecars are on by default from here."""
_SHOWN = 5


def server_version(snapshot: Snapshot, now: datetime) -> Result:
    """The API server is there and new enough."""
    answer = snapshot.version.one
    if answer is None:
        return failed(f"its version cannot be read: {snapshot.version.unread or 'not found'}")
    text = str(answer.get("gitVersion", ""))
    version = minor_version(text)
    if version is None:
        return skipped(f"version {text!r} is not understood")
    return ok(text) if version >= OLDEST else failed(f"{text}, older than 1.29")


def kubelet_versions(snapshot: Snapshot, now: datetime) -> Result:
    """Every kubelet can run native sidecars."""
    if snapshot.nodes.unread:
        return skipped(f"nodes cannot be listed: {snapshot.nodes.unread}")
    if not snapshot.nodes.items:
        return skipped("there are no nodes")
    versions = {
        name_of(node): str(inner(node, "status", "nodeInfo", "kubeletVersion") or "")
        for node in snapshot.nodes.items
    }
    old = [name for name, text in versions.items() if (minor_version(text) or OLDEST) < OLDEST]
    if not old:
        return ok(f"{counted(len(versions), 'node', 'nodes')}, {', '.join(sorted(set(versions.values())))}")
    shown = [f"node {name} runs {versions[name]}" for name in old[:_SHOWN]]
    return failed(*shown, *([f"and {len(old) - _SHOWN} more"] if len(old) > _SHOWN else []))
