"""Hints with real names: the command that makes pods anew, for the workloads that pods belong to."""

from __future__ import annotations

from collections.abc import Iterable

from cli.check.objects import inner, labels_of, name_of
from cli.cluster.answers import Obj

_SHOWN = 3
_ROLLED_OUT = ("Deployment", "StatefulSet", "DaemonSet")
_HASH = "pod-template-hash"


def restarting(namespace: str, pods: Iterable[Obj]) -> str:
    """What to run so that pods are made anew."""
    owners = dict.fromkeys(map(maker_of, pods))
    rolled = [f"{kind.lower()}/{name}" for kind, name in owners if kind in _ROLLED_OUT]
    others = [f"{kind} {name}" for kind, name in owners if kind not in _ROLLED_OUT]
    told = []
    if rolled:
        told.append(
            f"Run `kubectl -n {namespace} rollout restart {' '.join(rolled[:_SHOWN])}`{_more(rolled)}."
        )
    if others:
        told.append(f"Delete and create anew {', '.join(others[:_SHOWN])}{_more(others)}.")
    return " ".join(told)


def _more(names: list[str]) -> str:
    return f", and the same for {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""


def maker_of(pod: Obj) -> tuple[str, str]:
    """Kind and name of what makes the pod anew; the pod itself where nothing does."""
    for owner in inner(pod, "metadata", "ownerReferences") or ():
        if owner.get("controller"):
            kind, name = str(owner.get("kind")), str(owner.get("name"))
            ending = f"-{labels_of(pod).get(_HASH, '')}"
            if kind == "ReplicaSet" and len(ending) > 1 and name.endswith(ending):
                return "Deployment", name.removesuffix(ending)
            return kind, name
    return "Pod", name_of(pod)
