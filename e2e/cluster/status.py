"""What a pod's containers amount to: its phase, its conditions, and the status that is written for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from e2e.cluster.container import Container, Kind, now


def phase(containers: Sequence[Container], *, initialized: bool, over: bool, failed_init: bool) -> str:
    """`over`: nothing runs and nothing will be started again."""
    if failed_init and over:
        return "Failed"
    mains = [container for container in containers if container.kind is Kind.MAIN]
    if over:
        return "Succeeded" if all(container.exit_code == 0 for container in mains) else "Failed"
    if not initialized or not any(container.ever_started for container in mains):
        return "Pending"
    return "Running"


def conditions(
    pod: dict[str, Any],
    containers: Sequence[Container],
    before: Sequence[dict[str, Any]],
    *,
    has_network: bool,
    initialized: bool,
    phase: str,
) -> list[dict[str, Any]]:
    """The conditions of a pod; times are kept where nothing changed since `before`."""
    counted = [container for container in containers if container.kind in (Kind.MAIN, Kind.SIDECAR)]
    unready = [container.name for container in counted if not (container.ready and container.running)]
    done = phase in ("Succeeded", "Failed")
    ready = bool(containers) and not unready and not done
    why = "PodCompleted" if phase == "Succeeded" else "PodFailed" if done else "ContainersNotReady"
    text = f"containers with unready status: [{' '.join(unready)}]" if unready else ""
    gates = _gates(pod)
    wanted = [
        ("PodReadyToStartContainers", has_network and not done, "", ""),
        ("Initialized", initialized, "ContainersNotInitialized", ""),
        ("ContainersReady", ready, why, text),
        ("Ready", ready and not gates, why if not ready else "ReadinessGatesNotReady", text or gates),
        ("PodScheduled", True, "", ""),
    ]
    known = {one["type"]: one for one in before}
    return [_condition(known.get(kind), kind, good, reason, said) for kind, good, reason, said in wanted]


def _gates(pod: dict[str, Any]) -> str:
    """What the readiness gates still wait for."""
    met = {
        one["type"]
        for one in (pod.get("status") or {}).get("conditions") or []
        if one.get("status") == "True"
    }
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    return ", ".join(gate for gate in gates if gate not in met)


def _condition(
    known: dict[str, Any] | None, kind: str, good: bool, reason: str, message: str
) -> dict[str, Any]:
    status = "True" if good else "False"
    kept = known is not None and known.get("status") == status
    since = known["lastTransitionTime"] if kept and known is not None else now()
    made = {"type": kind, "status": status, "lastTransitionTime": since, "reason": None, "message": None}
    if not good:
        made.update(reason=reason or None, message=message or None)
    return made


def statuses(containers: Sequence[Container]) -> dict[str, list[dict[str, Any]]]:
    """The lists of container statuses, under their names in the pod's status."""
    kinds = {
        "initContainerStatuses": (Kind.INIT, Kind.SIDECAR),
        "containerStatuses": (Kind.MAIN,),
        "ephemeralContainerStatuses": (Kind.EPHEMERAL,),
    }
    found = {
        name: [one.status() for one in containers if one.kind in wanted] for name, wanted in kinds.items()
    }
    return {name: listed for name, listed in found.items() if listed}
