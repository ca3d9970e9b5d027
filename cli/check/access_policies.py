"""XAccessPolicies of a namespace: are they in force, and about what we serve?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cli.check.conditions import verdict
from cli.check.installed import settings_in
from cli.check.objects import counted, inner, name_of
from cli.check.policies import faults
from cli.check.result import Result, State, judged, ok, skipped
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Obj
from mesh.policy.access.documents import (
    AGENTIC_GROUP,
    CORE_GROUP,
    GATEWAY_GROUP,
    GATEWAY_X_GROUP,
    OUTRIDER_GROUP,
)

SERVED: Final = {
    (GATEWAY_GROUP, "Gateway"),
    (AGENTIC_GROUP, "XBackend"),
    (GATEWAY_X_GROUP, "XBackend"),
    (OUTRIDER_GROUP, "Backend"),
    (CORE_GROUP, "Service"),
}
"""Group and kind of the targets that sidecars know."""
_OURS: Final = SERVED - {(GATEWAY_GROUP, "Gateway")}
"""Those of which the control plane says something in any case; of Gateways only if they are of its class."""


def access_policies(snapshot: Snapshot, now: datetime) -> Result:
    """Every XAccessPolicy of the namespace is in force."""
    data, settings = snapshot.data, settings_in(snapshot)
    if data is None or data.access_policies.unread:
        why = data.access_policies.unread if data else "no namespace was named"
        return skipped(f"XAccessPolicies cannot be listed: {why}")
    if data.access_policies.absent:
        return ok("the cluster has no such kind, and needs none")
    own = [one for one in data.access_policies.items if inner(one, "metadata", "namespace") == data.namespace]
    if not own:
        return ok("there are none")
    if settings is not None and not settings.control_plane.present:
        return judged([f"{_count(own)}: without a control plane sidecars do not get them"], "", State.WARNING)
    invalid = [f"XAccessPolicy {name_of(one)}: {fault}" for one in own for fault in faults(one)]
    problems = [*invalid, *(told for one in own for told in _told(one))]
    return judged(problems, _count(own), State.FAILED if invalid else State.WARNING)


def targets(policy: Obj) -> Iterator[tuple[str, str, str]]:
    """Group, kind and name of what it is about, as far as these are written."""
    refs = inner(policy, "spec", "targetRefs")
    for ref in refs if isinstance(refs, list) else ():
        if isinstance(ref, dict):
            yield str(ref.get("group") or ""), str(ref.get("kind")), str(ref.get("name"))


def _told(policy: Obj) -> Iterator[str]:
    what, said = f"XAccessPolicy {name_of(policy)}", verdict(policy)
    for group, kind, name in targets(policy):
        if (group, kind) not in SERVED:
            called = f"{kind}.{group}" if group else kind
            yield f"{what} is about {called} {name}, a kind that sidecars do not serve"
    if said.refused:
        yield f"{what} is not accepted: {said.refused}"
    elif not said.said and any((group, kind) in _OURS for group, kind, _ in targets(policy)):
        yield f"{what}: the control plane has not said anything of it yet"
    elif said.stale:
        yield f"{what}: the control plane has not looked at it since it was changed"


def _count(policies: list[Obj]) -> str:
    return counted(len(policies), "XAccessPolicy", "XAccessPolicies")
