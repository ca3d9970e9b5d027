"""What people call an agent: by its pod, or by the workload that makes it, as `kubectl` takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.policy.agents import Agent

_SHORT = {"deploy": "deployment", "sts": "statefulset", "ds": "daemonset", "rs": "replicaset", "po": "pod"}
_KINDS = frozenset({*_SHORT.values(), "job", "cronjob"})
_LISTED = 10


class NoSuchAgent(Exception):
    """Whoever names an agent is at fault: neither files, nor the cluster, nor the options say what it is."""


def agent_named(text: str, found: list[Agent], default: str) -> Agent:
    """The agent that is called `NAME`, `NAMESPACE/NAME`, `KIND/NAME` or `NAMESPACE/KIND/NAME`.

    Of pods in a cluster NAME may be that of their workload: one of its pods with a sidecar is taken then.

    Raises:
        NoSuchAgent: none is called so.
    """
    readings = tuple(_readings(text, default))
    for space, kind, name in readings:
        for agent in found:
            if not kind and (agent.namespace, agent.name) == (space, name):
                return agent
    made = [one for reading in readings for one in found if _is_made_by(one, *reading)]
    for agent in made:
        if agent.meshed is not False:
            return agent
    raise NoSuchAgent(_without_sidecar(text, made) if made else _unknown(text, found))


def _readings(text: str, default: str) -> Iterator[tuple[str, str, str]]:
    """What a name may mean, as (namespace, kind, name), the likelier first."""
    *before, name = text.split("/")
    if len(before) < 2:
        yield before[0] if before else default, "", name
    if 0 < len(before) < 3:
        word = before[-1].lower()
        kind = _SHORT.get(word, word.removesuffix("s"))
        if kind in _KINDS:
            yield before[0] if len(before) == 2 else default, kind, name


def _is_made_by(agent: Agent, space: str, kind: str, name: str) -> bool:
    """Whether a workload is an agent's. Those of files are their own, of whatever kind a name says."""
    if agent.namespace != space:
        return False
    if agent.meshed is None or kind == "pod":
        return bool(kind) and agent.name == name
    own_kind, _, own_name = agent.made_by.partition("/")
    return own_name == name and kind in ("", own_kind)


def _without_sidecar(text: str, made: list[Agent]) -> str:
    pods = ", ".join(one.title for one in made[:_LISTED])
    return f"no pod of {text} has a sidecar; name one of them to ask about it all the same: {pods}"


def _unknown(text: str, found: list[Agent]) -> str:
    listed = ", ".join([one.title for one in found if one.meshed is not False][:_LISTED]) or "none"
    if any(one.meshed is not None for one in found):
        return (
            f"there is no agent {text}; known are these pods with a sidecar: {listed}. Name a pod "
            "(NAMESPACE/POD) or its workload (NAMESPACE/deployment/NAME), or --labels KEY=VALUE,…"
        )
    return f"there is no agent {text}; known: {listed}. Add its manifest, or --labels KEY=VALUE,…"
