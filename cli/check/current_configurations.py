"""Do sidecars run what is written now? Told by the status of policies, and by the sidecars themselves.

The control plane counts in the status of each policy how many of the sidecars that it concerns run this
generation. A sidecar that refused a configuration keeps the one before, and says why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import ItemsView, Iterator

from cli.check.conditions import verdict
from cli.check.data_plane import Agents
from cli.check.objects import counted, inner, labels_of, name_of
from cli.check.result import Result, State, judged, skipped
from cli.check.sidecar_state import Configured
from cli.cluster.answers import Obj

_ALIKE_SHOWN = 5


def running_what_is_written(agents: Agents) -> Result:
    """Every policy is run by every sidecar that it concerns."""
    data = agents.data
    items = (*data.agent_policies.items, *data.backends.items)
    if data.agent_policies.unread and not data.states.by_pod:
        return skipped(f"AgentPolicies cannot be listed: {data.agent_policies.unread}")
    refused = [
        f"{item.get('kind')} {name_of(item)} is not applied: {said.unapplied}"
        for item in items
        if (said := verdict(item)).unapplied
    ]
    refused += [
        f"pod {name} refused a configuration: {one.refused}" for name, one in _states(agents) if one.refused
    ]
    problems = [*refused, *(told for item in items for told in _behind(item)), *_different(agents)]
    if not problems and not items and not data.states.by_pod:
        return skipped("there are no policies")
    says = counted(len(data.states.by_pod), "sidecar says", "sidecars say")
    unread = f"; others were not asked: {data.states.unread}" if data.states.unread else ""
    fine = f"{counted(len(items), 'document is', 'documents are')} in force, {says} which{unread}"
    return judged(problems, fine, State.FAILED if refused else State.WARNING)


def _behind(item: Obj) -> Iterator[str]:
    what, said = f"{item.get('kind')} {name_of(item)}", verdict(item)
    if not said.said:
        yield f"{what}: the control plane has not said anything of it yet"
    elif said.stale:
        generation = inner(item, "metadata", "generation")
        yield f"{what}: the control plane has not looked at generation {generation} yet"
    elif said.behind and not said.unapplied:
        yield f"{what}: {said.current} of {said.total} sidecars run this generation"


def _different(agents: Agents) -> Iterator[str]:
    """Pods that are alike have one configuration, so that of two versions one is older."""
    alike: dict[object, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    pods = {name_of(pod): pod for pod in agents.injected}
    for name, state in _states(agents):
        if state.version and name in pods:
            pod = pods[name]
            like = (inner(pod, "spec", "serviceAccountName"), frozenset(labels_of(pod).items()))
            alike[like][state.version].append(name)
    for versions in alike.values():
        if len(versions) > 1:
            names = sorted(name for group in versions.values() for name in group)
            more = f" and {len(names) - _ALIKE_SHOWN} more" if len(names) > _ALIKE_SHOWN else ""
            yield f"pods {', '.join(names[:_ALIKE_SHOWN])}{more} are alike, and run {len(versions)} configurations"


def _states(agents: Agents) -> ItemsView[str, Configured]:
    return agents.data.states.by_pod.items()
