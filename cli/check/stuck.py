"""Workloads whose pods the API server refuses: no pod tells of it, since there is none.

ReplicaSets, and the Deployments above them, keep the refusal in the condition ReplicaFailure until a pod could be
created. StatefulSets, DaemonSets and Jobs leave events only, which count while no later one tells of a success and
pods are still lacking.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cli.check.data_plane import Agents, agents
from cli.check.objects import inner, moment, name_of
from cli.check.result import Result, judged, skipped
from cli.cluster.answers import Obj

FAILED_CREATE, SUCCESSFUL_CREATE = "FailedCreate", "SuccessfulCreate"
_CONDITION = "ReplicaFailure"
_BY_EVENTS = frozenset({"StatefulSet", "DaemonSet", "Job"})
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stuck:
    """A workload that cannot create its pods, and what the API server answers it, without a full stop."""

    kind: str
    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} cannot create its pods: {self.message}"


@agents
def pods_created(agents: Agents) -> Result:
    """Every workload can create its pods."""
    data = agents.data
    if data.workloads.unread:
        return skipped(f"workloads cannot be listed: {data.workloads.unread}")
    found = stuck((*data.workloads.items, *data.replica_sets.items), data.events.items)
    untold = f"; events cannot be read: {data.events.unread}" if data.events.unread else ""
    return judged([str(one) for one in found], f"no workload says that it cannot{untold}")


def stuck(workloads: Iterable[Obj], events: Iterable[Obj]) -> tuple[Stuck, ...]:
    """Those that cannot create pods; a ReplicaSet counts as its Deployment. Each is told once."""
    told = tuple(events)
    found: dict[tuple[str, str], Stuck] = {}
    for workload in workloads:
        message = _by_condition(workload) or _by_events(workload, told)
        if message:
            kind, name = _owner(workload)
            found.setdefault((kind, name), Stuck(kind, name, " ".join(message.split()).rstrip(".")))
    return tuple(found.values())


def _owner(workload: Obj) -> tuple[str, str]:
    """Whom people know: the Deployment of a ReplicaSet, else the workload itself."""
    for owner in inner(workload, "metadata", "ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") == "Deployment":
            return "Deployment", str(owner.get("name"))
    return str(workload.get("kind")), name_of(workload)


def _by_condition(workload: Obj) -> str:
    for condition in inner(workload, "status", "conditions") or ():
        if condition.get("type") == _CONDITION and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason") or "it does not say why")
    return ""


def _by_events(workload: Obj, events: tuple[Obj, ...]) -> str:
    if workload.get("kind") not in _BY_EVENTS or not _lacks_pods(workload):
        return ""
    about = sorted((one for one in events if _about(one, workload)), key=_time)
    if not about or about[-1].get("reason") != FAILED_CREATE:
        return ""
    return str(about[-1].get("message") or "it does not say why")


def _lacks_pods(workload: Obj) -> bool:
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    if workload.get("kind") == "StatefulSet":
        return _number(status, "replicas") < _number(spec, "replicas", 1)
    if workload.get("kind") == "DaemonSet":
        return _number(status, "currentNumberScheduled") < _number(status, "desiredNumberScheduled")
    over = any(
        one.get("type") in ("Complete", "Failed") and one.get("status") == "True"
        for one in status.get("conditions") or ()
    )
    return (
        not over and not spec.get("suspend") and _number(status, "active") < _number(spec, "parallelism", 1)
    )


def _number(values: Obj, key: str, default: int = 0) -> int:
    found = values.get(key)
    return found if isinstance(found, int) else default


def _about(event: Obj, workload: Obj) -> bool:
    involved = event.get("involvedObject") or {}
    if event.get("reason") not in (FAILED_CREATE, SUCCESSFUL_CREATE):
        return False
    if (involved.get("kind"), involved.get("name")) != (workload.get("kind"), name_of(workload)):
        return False
    uid = inner(workload, "metadata", "uid")  # one of the same name may have been deleted
    return not uid or involved.get("uid", uid) == uid


def _time(event: Obj) -> datetime:
    times: Iterator[datetime | None] = (
        moment(one)
        for one in (
            inner(event, "series", "lastObservedTime"),
            event.get("lastTimestamp"),
            event.get("eventTime"),
            inner(event, "metadata", "creationTimestamp"),
        )
        if one
    )
    return next((one for one in times if one is not None), _LONG_AGO)
