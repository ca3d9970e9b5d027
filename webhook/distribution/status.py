"""What the status of a policy object says: a pure function of what was found and counted.

Ours: conditions Accepted, Applied, for destinations Conflicted, for AgentPolicies ResolvedRefs, and how many
sidecars run this generation.
XAccessPolicies and Gateway API's XBackends: one entry of `ancestors` for each object that they are about, and the
entries of other controllers as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.distribution.entries import Entry, Force
from webhook.distribution.kinds import (
    ACCESS_POLICY,
    AGENT_POLICY,
    AGENTIC_BACKEND,
    BACKEND_KINDS,
    GATEWAY,
    GATEWAY_BACKEND,
    Key,
)
from webhook.distribution.offers import Offer
from webhook.distribution.references import absent
from webhook.distribution.reports import Count
from webhook.distribution.world import World

CONTROLLER = "outrider.dev/controller"
MOST_ANCESTORS = 16
_MESSAGE = 4000

Condition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A condition before it is dated."""

    type: str
    holds: bool
    reason: str
    message: str


def status_of(entry: Entry, world: World, count: Count, now: str) -> Any:
    """The status that an object should have: the one it has where nothing is to be said anew. `now` as RFC 3339.

    None for an object that gets none.
    """
    key = entry.key
    if key.kind is GATEWAY:
        return None
    total = _selected(entry, world) if key.kind is AGENT_POLICY else count.wanted
    current = min(count.running.get(_generation(entry), 0), total)
    applied = _applied(entry, current, total, count)
    if key.kind is ACCESS_POLICY:
        return _with_ancestors(entry, _verdicts(entry, world), now)
    accepted = _accepted(entry, world)
    if key.kind is GATEWAY_BACKEND:
        return _with_ancestors(entry, [(_reference(key), [accepted, applied])], now)
    found = [accepted, applied]
    if key.kind in BACKEND_KINDS:
        found.append(_conflicted(key, world))
    else:
        found.append(_resolved(entry, world))
    status = _object(entry.status)
    made = {**status, "conditions": _dated(found, _list(status, "conditions"), entry, now)}
    if key.kind is AGENTIC_BACKEND:
        return made
    counted = {"applied": {"current": current, "total": total}, "appliedTo": f"{current}/{total}"}
    return {**made, "observedGeneration": entry.meta.generation, **counted}


def _generation(entry: Entry) -> int:
    return entry.document.generation if entry.document is not None else entry.meta.generation


def _selected(entry: Entry, world: World) -> int:
    """Running pods that an AgentPolicy selects."""
    if entry.value is None:
        return 0
    selector = tuple(sorted(entry.value.match_labels))
    return sum(cohort.running for cohort in world.cohorts.select(entry.key.namespace, selector))


def _accepted(entry: Entry, world: World) -> Found:
    if entry.force is not Force.STORED:
        return Found("Accepted", False, "Invalid", _cut("; ".join(entry.faults) + _instead(entry)))
    if entry.key.kind in BACKEND_KINDS:
        offered = world.offered(entry.key)
        if offered is not None and offered.reason:
            closed = " Calls of it fail meanwhile." if isinstance(offered, Offer) else ""
            return Found("Accepted", False, offered.reason, _cut(f"{offered.message}.{closed}"))
    return Found("Accepted", True, "Accepted", "it is valid")


def _instead(entry: Entry) -> str:
    if entry.force is Force.LAST_VALID:
        return f". The last valid version, generation {_generation(entry)}, stays in force."
    return ". No valid version is known: meanwhile it grants nothing and refuses what it can be about."


def _applied(entry: Entry, current: int, total: int, count: Count) -> Found:
    if count.refused:
        message = f"{count.refused} of {total} sidecars refused it: {count.why}"
        return Found("Applied", False, "Refused", _cut(message))
    if entry.force is not Force.STORED:
        return Found("Applied", False, "NotAccepted", "this generation is not in force")
    generation = entry.meta.generation
    if current < total:
        return Found("Applied", False, "Pending", f"not every sidecar runs generation {generation} yet")
    if not total:
        return Found("Applied", True, "NoSidecars", "it concerns no sidecar")
    return Found("Applied", True, "Applied", f"every sidecar that it concerns runs generation {generation}")


def _conflicted(key: Key, world: World) -> Found:
    winner = world.shelf(key.namespace).conflicted.get(key)
    if winner is None:
        return Found("Conflicted", False, "NoConflict", "nothing else claims its name or its destination")
    message = f"{winner.kind} {winner.name} is older and has the same name, or the same host, port and path"
    return Found("Conflicted", True, "OlderExists", message)


def _resolved(entry: Entry, world: World) -> Found:
    """Are the Backends there that the rules in force name?"""
    missing = [] if entry.value is None else absent(entry.value, entry.key.namespace, world.entries)
    if not missing:
        return Found("ResolvedRefs", True, "ResolvedRefs", "every Backend that it names is there")
    told = "; ".join(
        f"{rule} names Backend {namespace}/{name}, which is not there" for rule, (namespace, name) in missing
    )
    message = f"{told}. A rule has no effect until its Backend is there."
    return Found("ResolvedRefs", False, "BackendNotFound", _cut(message))


def _verdicts(entry: Entry, world: World) -> list[tuple[Mapping[str, str], list[Found]]]:
    """For each target of an XAccessPolicy that is ours to enforce: is it accepted there?"""
    if entry.value is None:
        return []
    listed: list[tuple[Mapping[str, str], list[Found]]] = []
    verdicts = world.access.verdicts(entry.key)
    for target in entry.value.targets:
        if target.kind == GATEWAY.name and target.name not in world.gateways(entry.key.namespace):
            continue
        verdict = verdicts.get(target)
        if entry.force is not Force.STORED or verdict is None:
            found = Found("Accepted", False, "Invalid", _cut("; ".join(entry.faults) + _instead(entry)))
        else:
            found = Found(
                "Accepted", verdict.accepted, verdict.reason, _cut(verdict.message or "it is valid")
            )
        reference = {"group": target.group, "kind": target.kind, "name": target.name}
        listed.append(({**reference, "namespace": entry.key.namespace}, [found]))
    return listed


def _reference(key: Key) -> Mapping[str, str]:
    return {
        "group": key.kind.group,
        "kind": key.kind.name,
        "namespace": key.namespace,
        "name": key.name,
    }


def _with_ancestors(entry: Entry, ours: Iterable[tuple[Mapping[str, str], list[Found]]], now: str) -> Any:
    status = _object(entry.status)
    listed = _list(status, "ancestors")
    others = [one for one in listed if _object(one).get("controllerName") != CONTROLLER]
    before = {_place(one.get("ancestorRef")): one for one in listed if one not in others}
    made = [
        {
            "ancestorRef": dict(reference),
            "controllerName": CONTROLLER,
            "conditions": _dated(found, _list(before.get(_place(reference), {}), "conditions"), entry, now),
        }
        for reference, found in ours
    ]
    if not made and not before:
        return entry.status  # nothing here is ours to say anything of
    return {**status, "ancestors": [*others, *made][:MOST_ANCESTORS]}


def _dated(found: list[Found], before: list[Any], entry: Entry, now: str) -> list[Condition]:
    """Conditions with their dates; those of types that are not ours stay."""
    known = {one.get("type"): one for one in before if isinstance(one, dict)}
    made: list[Condition] = []
    for one in found:
        status = "True" if one.holds else "False"
        past = known.pop(one.type, {})
        same = past.get("status") == status and past.get("lastTransitionTime")
        made.append(
            {
                "type": one.type,
                "status": status,
                "observedGeneration": entry.meta.generation,
                "lastTransitionTime": past["lastTransitionTime"] if same else now,
                "reason": one.reason,
                "message": one.message,
            }
        )
    return [*made, *known.values()]


def _place(reference: Any) -> tuple[Any, ...]:
    members = _object(reference)
    return tuple(members.get(name) for name in ("group", "kind", "namespace", "name"))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any, name: str) -> list[Any]:
    found = _object(value).get(name)
    return found if isinstance(found, list) else []


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE else text[:_MESSAGE] + "…"
