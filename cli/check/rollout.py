"""Do all replicas of the control plane run, and run what is wanted now?

A rollout that is stuck leaves the older replicas up: everything is available, and nothing of it is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from cli.check.objects import containers_of, ended, inner, name_of
from cli.check.result import Result, failed, ok, skipped, warning
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Denied, Obj, Reading
from cli.cluster.failures import ClusterUnavailable
from mesh.settings import installation

_TELEMETRY = "telemetry"
"""The name of the port of /readyz."""
_ASKED = 5


def available(snapshot: Snapshot, now: datetime) -> Result:
    """Every replica that is wanted is ready, and of the newest version."""
    deployment = snapshot.deployment.one
    if deployment is None:
        return skipped("there is no Deployment that can be read")
    wanted = replicas_of(deployment)
    if wanted == 0:
        scale = f"kubectl -n {snapshot.namespace} scale deployment {installation.WEBHOOK} --replicas=2"
        return failed("it is scaled to 0", hint=f"`{scale}`.")
    there = _count(deployment, "availableReplicas")
    seen = f"{there} of {wanted} replicas are available"
    lacking = list(_lacking(deployment, wanted))
    if there >= wanted and not lacking:
        return ok(seen)
    told = (seen, *lacking, *_waiting(snapshot))
    return failed(*told) if there == 0 else warning(*told)


def replicas_of(deployment: Obj) -> int:
    """How many are wanted."""
    wanted = inner(deployment, "spec", "replicas")
    return 1 if wanted is None else int(wanted)


def read_unready(api: Reading, namespace: str, pods: Iterable[Obj]) -> dict[str, str]:
    """What the first replicas that run and are not ready say of why, as /readyz has it, by pod.

    It takes the right to `get pods/proxy`: without it nothing is said.
    """
    found: dict[str, str] = {}
    for pod in [one for one in pods if _runs_unready(one)][:_ASKED]:
        try:
            text = api.through(
                f"/api/v1/namespaces/{namespace}/pods/{name_of(pod)}:{_port(pod)}/proxy/readyz"
            )
        except Denied:
            continue
        except ClusterUnavailable:
            break
        said = "; ".join(line.strip().rstrip(".") for line in text.splitlines() if line.strip())
        if said and said != "ok":
            found[name_of(pod)] = said
    return found


def _lacking(deployment: Obj, wanted: int) -> Iterator[str]:
    """A count that is zero is absent."""
    updated, ready = _count(deployment, "updatedReplicas"), _count(deployment, "readyReplicas")
    if updated < wanted:
        yield f"{updated} of {wanted} replicas are of the newest version of the Deployment"
    if ready < wanted:
        yield f"{ready} of {wanted} replicas are ready"
    for condition in inner(deployment, "status", "conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("status") == "False":
            yield f"the rollout is stuck: {condition.get('reason')}: {_message(condition)}"


def _waiting(snapshot: Snapshot) -> Iterator[str]:
    """Why pods of the control plane are not ready, in their own words or else in the kubelet's."""
    for pod in snapshot.pods.items:
        said = snapshot.unready.get(name_of(pod))
        told = [f"not ready: {said}"] if said else list(_kubelets(pod))
        yield from (f"pod {name_of(pod)}: {one}" for one in told)


def _kubelets(pod: Obj) -> Iterator[str]:
    waiting = [
        inner(status, "state", "waiting") for status in inner(pod, "status", "containerStatuses") or ()
    ]
    unscheduled = _false(pod, "PodScheduled")
    for one in (*filter(None, waiting), *unscheduled):
        yield f"{one.get('reason')}: {_message(one)}"
    if not any(waiting) and not unscheduled and not ended(pod):
        for one in _false(pod, "Ready"):
            yield f"not ready: {_message(one)}"


def _false(pod: Obj, kind: str) -> list[Obj]:
    conditions = inner(pod, "status", "conditions") or ()
    return [one for one in conditions if one.get("type") == kind and one.get("status") == "False"]


def _message(told: Obj) -> str:
    return str(told.get("message") or "no message").rstrip(".")


def _count(deployment: Obj, key: str) -> int:
    return int(inner(deployment, "status", key) or 0)


def _runs_unready(pod: Obj) -> bool:
    statuses = inner(pod, "status", "containerStatuses") or ()
    running = any(inner(one, "state", "running") is not None for one in statuses)
    return running and bool(_false(pod, "Ready")) and not ended(pod)


def _port(pod: Obj) -> str:
    """Of its telemetry, by number: the API server's proxy takes names of a Service's ports only."""
    ports = [port for one in containers_of(pod) for port in one.get("ports") or ()]
    return next((str(one.get("containerPort")) for one in ports if one.get("name") == _TELEMETRY), "15020")
