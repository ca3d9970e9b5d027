"""Do sidecars hear of changes, and could they again after a restart?

A sidecar trusts the roots that admission wrote into its pod, those of the bundle that it has now, and those that
it saved. A pod that was made before roots were replaced lives on with the latter two; where it loses them, nobody
could tell it the new ones.
"""

from __future__ import annotations

from cli.check.control import certificates
from cli.check.data_plane import Agents, agents, settled
from cli.check.installed import UNREAD_ROOTS
from cli.check.objects import counted, name_of, sidecar_of
from cli.check.restart import restarting
from cli.check.result import Result, State, judged, skipped
from cli.cluster.answers import Obj
from mesh.identity.errors import IdentityInvalid
from mesh.settings.table import ENV_CONTROL_ROOTS, ENV_CONTROL_URL

_ABSENT = "sidecars have no control plane (control.enabled is false)"


@settled
@agents
def connected(agents: Agents) -> Result:
    """Sidecars were made for the control plane, and are connected to it."""
    if not agents.settings.control_plane.present:
        return skipped(_ABSENT)
    if not agents.injected:
        return skipped("no pod has a sidecar")
    older = [pod for pod in agents.injected if not variable(pod, ENV_CONTROL_URL.name)]
    problems = [
        f"pod {name_of(pod)} was made without a control plane, and has the policies of a ConfigMap"
        for pod in older
    ]
    states = agents.data.states
    for name, state in states.by_pod.items():
        if state.connected is False:
            why = f": {state.problem}" if state.problem else ""
            problems.append(f"pod {name} is not connected{why}; its configuration is {_source(state.source)}")
    hint = restarting(agents.namespace.name, older) if older else ""
    asked = counted(len(states.by_pod), "sidecar says so", "sidecars say so")
    unread = f"; others were not asked: {states.unread}" if states.unread else ""
    return judged(problems, f"they are connected, {asked}{unread}", State.WARNING, hint)


@settled
@agents
def trusted(agents: Agents) -> Result:
    """The roots in pods are among those of today."""
    present = agents.settings.control_plane.roots
    if not agents.settings.control_plane.present:
        return skipped(_ABSENT)
    if present == UNREAD_ROOTS:
        return skipped("the roots of today cannot be read")
    try:
        today = set(certificates(present))
    except IdentityInvalid as malformed:
        return skipped(f"the roots of today are no certificates: {malformed}")
    pods = [pod for pod in agents.injected if variable(pod, ENV_CONTROL_URL.name)]
    if not pods:
        return skipped("no pod has a sidecar that was made for the control plane")
    behind = [pod for pod in pods if today.isdisjoint(_within(pod))]
    problems = [
        f"pod {name_of(pod)} has none of today's roots: a sidecar of it that lost its state could not come back"
        for pod in behind
    ]
    return judged(
        problems,
        f"{counted(len(pods), 'pod has', 'pods have')} one of today's roots",
        State.WARNING,
        restarting(agents.namespace.name, behind),
    )


def variable(pod: Obj, name: str) -> str:
    """A variable of its sidecar; "" where it has none."""
    for one in (sidecar_of(pod) or {}).get("env") or ():
        if one.get("name") == name:
            return str(one.get("value") or "")
    return ""


def _within(pod: Obj) -> tuple[bytes, ...]:
    try:
        return certificates(variable(pod, ENV_CONTROL_ROOTS.name))
    except IdentityInvalid:
        return ()


def _source(source: str) -> str:
    return {"none": "none at all", "saved": "the one it saved", "stream": "the last it got"}.get(
        source, source
    )
