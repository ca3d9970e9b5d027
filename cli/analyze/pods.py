"""Findings about pods: what admission says of them, and what it does not look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from cli.analyze.finding import Finding, at
from cli.analyze.inventory import Agent, Inventory
from cli.analyze.labels import strangers
from cli.check.objects import sidecar_of
from mesh.reasons import Reason
from sidecar.limits import Limits
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Problem, Refusal, Skipped

_GRACE_DEFAULT = 30
# What the findings about labels report with more to say.
_TOLD_ELSEWHERE = frozenset(
    {Reason.OPT_OUT_REFUSED, Reason.NAMESPACE_DISABLED, Reason.NAMESPACE_LABEL_INVALID}
)
_IMPOSSIBLE = frozenset({Reason.HOST_NETWORK, Reason.MIRROR_POD, Reason.WINDOWS_POD})


def refused(inventory: Inventory) -> Iterator[Finding]:
    """OUT0301"""
    for agent in inventory.agents:
        if isinstance(agent.outcome, Refusal):
            for problem in agent.outcome.problems:
                if problem.reason not in _TOLD_ELSEWHERE and not _about_names(problem, strangers(agent)):
                    yield _about(inventory, agent, "OUT0301", f"{problem.reason}: {problem}")


def without(inventory: Inventory) -> Iterator[Finding]:
    """OUT0302"""
    for agent in inventory.agents:
        if isinstance(agent.outcome, Skipped) and agent.outcome.reason in _IMPOSSIBLE:
            yield _about(inventory, agent, "OUT0302", f"{agent.outcome.reason}: {agent.outcome.sentence}")


def lacking(inventory: Inventory) -> Iterator[Finding]:
    """OUT0306: pods of a cluster that would get a sidecar by now."""
    for item in inventory.running:
        if sidecar_of(item.value) is not None:
            continue
        space = item.namespace(inventory.default)
        known = inventory.namespaces.get(space, Namespace(space))
        namespace = Namespace(space, {**known.labels, **inventory.assumed}, known.annotations)
        if isinstance(inject(item.value, namespace, inventory.settings), Injection):
            message = "it has no sidecar, and would get one if it were created now"
            yield at(item, inventory.default, "OUT0306", message)


def shared_account(inventory: Inventory) -> Iterator[Finding]:
    """OUT0303: one agent with the account `default` has an identity that others may get, two share it now."""
    by_namespace: dict[str, list[Agent]] = defaultdict(list)
    for agent in inventory.agents:
        if agent.injected and _spec(agent).get("serviceAccountName", "default") in ("default", "", None):
            by_namespace[agent.namespace.name].append(agent)
    for name, agents in by_namespace.items():
        for agent in agents:
            others = len(agents) - 1
            beside = f"; so do {others} others" if others > 1 else "; so does 1 other" if others else ""
            yield _about(
                inventory,
                agent,
                "OUT0303",
                f"it runs as {name}/default{beside}",
                "spec",
                "serviceAccountName",
            )


def short_grace(inventory: Inventory) -> Iterator[Finding]:
    """OUT0304"""
    drain = float(inventory.settings.limits.get("drainSeconds", Limits().drain_seconds))
    for agent in inventory.agents:
        seconds = _spec(agent).get("terminationGracePeriodSeconds", _GRACE_DEFAULT)
        if agent.injected and isinstance(seconds, int) and seconds < drain:
            message = f"{seconds} seconds to end, and a sidecar drains for {drain:g}"
            yield _about(inventory, agent, "OUT0304", message, "spec", "terminationGracePeriodSeconds")


def warned(inventory: Inventory) -> Iterator[Finding]:
    """OUT0305"""
    for agent in inventory.agents:
        if isinstance(agent.outcome, Injection):
            for warning in agent.outcome.warnings:
                yield _about(inventory, agent, "OUT0305", warning)


def _about_names(problem: Problem, names: set[str]) -> bool:
    """Does a problem only say that a name is unknown or misplaced? The findings about labels say more."""
    words = problem.detail.replace("=", " ").split()
    return problem.reason is Reason.ANNOTATION_INVALID and any(name in words for name in names)


def _spec(agent: Agent) -> dict[str, object]:
    spec = agent.workload.pod.get("spec") if isinstance(agent.workload.pod, dict) else None
    return spec if isinstance(spec, dict) else {}


def _about(inventory: Inventory, agent: Agent, code: str, message: str, *path: str) -> Finding:
    return at(agent.item, inventory.default, code, message, *((*agent.template, *path) if path else ()))
