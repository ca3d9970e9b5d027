"""Checks of one namespace's pods: who has a sidecar, who should, and how the sidecars are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cli.check.installed import settings_in
from cli.check.objects import (
    annotations_of,
    counted,
    ended,
    inner,
    labels_of,
    name_of,
    sidecar_of,
    sidecar_status,
)
from cli.check.readiness import readiness_hint
from cli.check.restart import restarting
from cli.check.result import Result, State, failed, judged, ok, skipped, warning
from cli.check.sidecar_settings import differing, made_anew
from cli.check.snapshot import DataPlane, Snapshot
from cli.cluster.answers import Obj
from mesh.reasons import Reason
from mesh.settings.table import MEMORY_LIMIT, NAMESPACE_INJECTION, SIDECAR_CONTAINER, STATUS, VERSION
from sidecar.limits import Limits
from webhook.admission.ephemeral import admit_ephemeral
from webhook.admission.optin import PodSays, pod_says
from webhook.admission.outcome import Injection, Namespace, Outcome, Refusal, Skipped
from webhook.admission.settings import InjectionSettings

_GRACE_DEFAULT = 30
_ON_PURPOSE = frozenset(
    {Reason.NOT_OPTED_IN, Reason.POD_OPTED_OUT, Reason.NAMESPACE_DISABLED, Reason.NAMESPACE_IGNORED}
)
_MEND_FIRST = (
    "Those that would be refused stay as they are until what is named is mended: do not restart them before."
)
_LABEL_FIRST = (
    "Those that would get none lose their sidecar when they are made anew: have them ask for it first."
)
_MANY_RESTARTS = 5
_SAID = 400


@dataclass(frozen=True, slots=True)
class Agents:
    """What the checks of a namespace work on: all of it could be read."""

    data: DataPlane
    namespace: Namespace
    settings: InjectionSettings
    pods: tuple[Obj, ...]

    @property
    def injected(self) -> tuple[Obj, ...]:
        """The pods that have a sidecar."""
        return tuple(pod for pod in self.pods if sidecar_of(pod) is not None)

    def verdict(self, pod: Obj) -> Outcome:
        """What admission would make of a pod today."""
        return made_anew(pod, self.namespace, self.settings)

    @property
    def concerned(self) -> bool:
        """Does the namespace, or one of its pods, ask for a sidecar, or have one?"""
        asks = self.namespace.labels.get(NAMESPACE_INJECTION.name, "disabled") != "disabled"
        labelled = any(pod_says(labels_of(pod)) is PodSays.YES for pod in self.pods)
        return asks or labelled or bool(self.injected)


Check = Callable[[Snapshot, datetime], Result]


def settled(check: Check) -> Check:
    """A check that needs the platform's settings; skipped where they cannot be read: nothing is guessed."""

    def run(snapshot: Snapshot, now: datetime) -> Result:
        if settings_in(snapshot) is None:
            return skipped("the platform's settings cannot be read")
        return check(snapshot, now)

    run.__doc__ = check.__doc__
    return run


def agents(check: Callable[[Agents], Result]) -> Check:
    """A check of the pods of a namespace; skipped where they, or the namespace, cannot be read."""

    def run(snapshot: Snapshot, now: datetime) -> Result:
        data = snapshot.data
        if data is None or data.pods.unread:
            return skipped(f"pods cannot be listed: {data.pods.unread if data else 'no namespace was named'}")
        namespace = snapshot.namespace_object(data.namespace)
        if namespace is None:
            return skipped(f"namespace {data.namespace} cannot be read")
        known = Namespace(data.namespace, labels_of(namespace), annotations_of(namespace))
        settings = settings_in(snapshot) or InjectionSettings()
        pods = tuple(pod for pod in data.pods.items if not ended(pod))
        return check(Agents(data, known, settings, pods))

    run.__doc__ = check.__doc__
    return run


def label(snapshot: Snapshot, now: datetime) -> Result:
    """The namespace says what it wants."""
    if snapshot.data is None:
        return skipped("no namespace was named")
    name = snapshot.data.namespace
    if snapshot.namespaces.unread:
        return skipped(f"namespaces cannot be read: {snapshot.namespaces.unread}")
    namespace = snapshot.namespace_object(name)
    if namespace is None:
        return failed(f"there is no namespace {name}")
    value = labels_of(namespace).get(NAMESPACE_INJECTION.name)
    if value is None:
        return warning(f"{name} has no label {NAMESPACE_INJECTION.name}; only pods that ask get a sidecar")
    if NAMESPACE_INJECTION.values.problem(value):
        return failed(f"{name} is labelled {NAMESPACE_INJECTION.name}={value}")
    return warning(f"{name} is labelled {value}") if value == "disabled" else ok(f"{name} is {value}")


@settled
@agents
def injected(agents: Agents) -> Result:
    """Every pod that should have a sidecar has one."""
    if not agents.pods:
        return skipped("there are no pods")
    missing, refused, others, without, again = [], [], 0, [], []
    for pod in agents.pods:
        if sidecar_of(pod) is not None:
            continue
        verdict = agents.verdict(pod)
        if isinstance(verdict, Injection):
            again.append(pod)
            missing.append(f"pod {name_of(pod)} has none, and would get one if it were created now")
        elif isinstance(verdict, Refusal):
            refused.append(f"pod {name_of(pod)} has none, and would be refused now ({verdict.reason})")
        elif verdict.reason in _ON_PURPOSE:
            others += 1
        else:
            without.append(
                f"pod {name_of(pod)} can have none ({verdict.reason}): {verdict.reason.sentence}".rstrip(".")
            )
    if missing or refused:
        hint = restarting(agents.namespace.name, again) if again else ""
        if again:
            space = agents.namespace.name
            hint += f" `outrider check-inject {name_of(again[0])} -n {space}` says why it has none."
        if refused:
            hint = " ".join(filter(None, (hint, _MEND_FIRST)))
        return failed(*missing, *refused, *without, hint=hint)
    if without:
        return warning(*without)
    purpose = f", {others} without one on purpose" if others else ""
    return ok(f"{len(agents.injected)} of {len(agents.pods)} pods have a sidecar{purpose}")


@agents
def versions(agents: Agents) -> Result:
    """Sidecars are of the control plane's version."""
    result = _of_injected(agents, _skew, f"all are {VERSION}", State.WARNING)
    behind = [pod for pod in agents.injected if _skew(pod)]
    return replace(result, hint=restarting(agents.namespace.name, behind)) if behind else result


@agents
def ready(agents: Agents) -> Result:
    """Sidecars are ready: they have identity and policies."""

    def waiting(pod: Obj) -> str | None:
        told, trouble = _not_ready(pod), agents.data.troubles.get(name_of(pod))
        return f"{told}: {trouble}" if told and trouble else told

    result = _of_injected(agents, waiting, "all are ready", State.FAILED)
    if result.state is not State.FAILED:
        return result
    behind = [pod for pod in agents.injected if _not_ready(pod)]
    return replace(result, hint=readiness_hint(agents.namespace.name, behind))


@agents
def restarts(agents: Agents) -> Result:
    """Sidecars stay up."""
    result = _of_injected(agents, _restarted, "none was restarted", State.WARNING)
    again = [pod for pod in agents.injected if _restarts(pod)]
    if not again:
        return result
    logs = f"kubectl -n {agents.namespace.name} logs {name_of(again[0])} -c {SIDECAR_CONTAINER} --previous"
    result = replace(result, hint=f"Look at `{logs}`; OOMKilled asks for {MEMORY_LIMIT.name}.")
    often = any(_restarts(pod) >= _MANY_RESTARTS for pod in again)
    return replace(result, state=State.FAILED) if often else result


@settled
@agents
def current(agents: Agents) -> Result:
    """Pods run with the settings that hold now."""
    result = _of_injected(
        agents, lambda pod: _outdated(pod, agents), "all have today's settings", State.WARNING
    )
    if result.state is not State.WARNING:
        return result
    verdicts = [(pod, agents.verdict(pod)) for pod in agents.injected]
    behind = [pod for pod, one in verdicts if isinstance(one, Injection) and _outdated(pod, agents)]
    told = [restarting(agents.namespace.name, behind)]
    if any(isinstance(one, Refusal) for _, one in verdicts):
        told.append(_MEND_FIRST)
    if any(isinstance(one, Skipped) for _, one in verdicts):
        told.append(_LABEL_FIRST)
    return replace(result, hint=" ".join(filter(None, told)))


@settled
@agents
def grace(agents: Agents) -> Result:
    """The kubelet leaves sidecars the time to finish what is under way."""
    drain = float(agents.settings.limits.get("drainSeconds", Limits().drain_seconds))

    def short(pod: Obj) -> str | None:
        seconds = inner(pod, "spec", "terminationGracePeriodSeconds")
        seconds = _GRACE_DEFAULT if seconds is None else seconds
        return (
            f"has {seconds} seconds to end, and its sidecar drains for {drain:g}" if seconds < drain else None
        )

    return _of_injected(agents, short, f"all have at least {drain:g} seconds", State.WARNING)


@settled
@agents
def ephemeral(agents: Agents) -> Result:
    """Containers that were added to running pods respect the sidecar."""

    def wrong(pod: Obj) -> str | None:
        bare = {**pod, "spec": {**pod["spec"], "ephemeralContainers": []}}
        verdict = admit_ephemeral(pod, bare, agents.namespace, agents.settings)
        return verdict.sentence if isinstance(verdict, Refusal) else None

    return _of_injected(agents, wrong, "no added container acts as a sidecar", State.FAILED)


def status_of(pod: Obj) -> dict[str, Any] | None:
    """The status annotation; None where there is none, or it is not ours."""
    try:
        value = json.loads(annotations_of(pod).get(STATUS.name, ""))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """How two status annotations differ, in words."""
    told = [
        f"{key} {before.get(key)} is now {after.get(key)}"
        for key in ("version", "image", "capture")
        if before.get(key) != after.get(key)
    ]
    old, new = (_record(status.get("settings")) for status in (before, after))
    for name in sorted({*old, *new}):
        was, will = inner(old, name, "value"), inner(new, name, "value")
        if was != will:
            told.append(f"{name} {was or '(not set)'} is now {will or '(not set)'}")
    return told


def _record(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _of_injected(agents: Agents, look: Callable[[Obj], str | None], fine: str, worst: State) -> Result:
    if not agents.injected:
        return skipped("no pod has a sidecar")
    return judged(list(_told(agents.injected, look)), fine, worst)


def _told(pods: tuple[Obj, ...], look: Callable[[Obj], str | None]) -> Iterator[str]:
    for pod in pods:
        told = look(pod)
        if told is not None:
            yield f"pod {name_of(pod)} {told}"


def _skew(pod: Obj) -> str | None:
    status = status_of(pod)
    if status is None:
        return "has no readable status annotation"
    theirs = status.get("version")
    return None if theirs == VERSION else f"was injected by version {theirs}"


def _not_ready(pod: Obj) -> str | None:
    status = sidecar_status(pod)
    if status is None:
        return "has no state of its sidecar yet"
    if status.get("ready"):
        return None
    state = status.get("state") or {}
    for name, detail in state.items():
        said = inner(status, "lastState", "terminated", "message")  # the end of its log, where it failed
        reasons = (inner(detail, "reason"), inner(detail, "message"), said)
        why = ": ".join(" ".join(str(one).split())[-_SAID:].rstrip(".") for one in reasons if one)
        return f"has a sidecar that is {name}, not ready{f': {why}' if why else ''}"
    return "has a sidecar that is not ready"


def _restarts(pod: Obj) -> int:
    return int((sidecar_status(pod) or {}).get("restartCount", 0))


def _restarted(pod: Obj) -> str | None:
    status = sidecar_status(pod) or {}
    count = status.get("restartCount", 0)
    if not count:
        return None
    last = inner(status, "lastState", "terminated")
    why = f", last with exit code {last.get('exitCode')} ({last.get('reason')})" if last else ""
    return f"has a sidecar that was restarted {counted(count, 'time', 'times')}{why}"


def _outdated(pod: Obj, agents: Agents) -> str | None:
    status, verdict = status_of(pod), agents.verdict(pod)
    if isinstance(verdict, Refusal):
        return f"would be refused now ({verdict.reason}): {verdict.problems[0]}".rstrip(".")
    if not isinstance(verdict, Injection):
        return f"would get no sidecar now ({verdict.reason}), unless its manifest holds it"
    told = [*changes(status or {}, verdict.status), *differing(pod, dict(verdict.pod))]
    return f"is behind: {', '.join(told)}" if told else None
