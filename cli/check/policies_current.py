"""Are sidecars older than the policies that they should have?

With a control plane they are told of each change. Without one they read policies when they start, and not again.
When a ConfigMap was written stands in its managed fields, once for each manager that has fields of its data. That
one may have written something else of the ConfigMap at the time, so what is found is a reason to look.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cli.check.current_configurations import running_what_is_written
from cli.check.data_plane import Agents, agents, settled
from cli.check.objects import inner, moment, name_of, sidecar_status
from cli.check.restart import restarting
from cli.check.result import Result, State, judged, skipped
from cli.cluster.answers import Obj

_DATA = frozenset({"f:data", "f:binaryData"})


@settled
@agents
def policies_current(agents: Agents) -> Result:
    """Every sidecar runs the policies as they are written now."""
    if agents.settings.control_plane.present:
        return running_what_is_written(agents)
    return _started_since(agents)


def _started_since(agents: Agents) -> Result:
    """Every sidecar started after the policies were last written."""
    if not agents.settings.mounted_policies:
        return skipped("policies are not in a ConfigMap")
    config_map = agents.data.policies.one
    if config_map is None:
        return skipped(f"ConfigMap {agents.settings.mounted_policies} cannot be read, or is not there")
    written = last_written(config_map)
    if written is None:
        return skipped(f"nothing says when ConfigMap {name_of(config_map)} was last written")
    began = {name_of(pod): started(pod) for pod in agents.injected}
    known = {name: time for name, time in began.items() if time is not None}
    if not known:
        return skipped("no sidecar says since when it runs")
    problems = [
        f"pod {name}: its sidecar started at {_shown(time)}, the policies were written at {_shown(written)}"
        for name, time in known.items()
        if time < written
    ]
    unknown = f", {len(began) - len(known)} do not say" if len(known) < len(began) else ""
    behind = [pod for pod in agents.injected if (known.get(name_of(pod)) or written) < written]
    hint = f"Sidecars read policies when they start. {restarting(agents.namespace.name, behind)}"
    return judged(problems, f"{len(known)} started after they were written{unknown}", State.WARNING, hint)


def last_written(config_map: Obj) -> datetime | None:
    """When the data of a ConfigMap may have been changed last; None where it is not told."""
    return max(_times(config_map), default=None)


def _times(config_map: Obj) -> Iterator[datetime]:
    for entry in inner(config_map, "metadata", "managedFields") or ():
        time = moment(entry.get("time"))
        if time is not None and not _DATA.isdisjoint(inner(entry, "fieldsV1") or ()):
            yield time


def started(pod: Obj) -> datetime | None:
    """Since when the sidecar's container runs; None where it does not, or nobody says."""
    return moment(inner(sidecar_status(pod), "state", "running", "startedAt"))


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
