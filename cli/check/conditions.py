"""What the control plane says of a policy object in its status: accepted or not, in conflict, run by how many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cli.check.objects import inner
from cli.cluster.answers import Obj

CONTROLLER: Final = "outrider.dev/controller"
"""`controllerName` of what we say in the status of XAccessPolicies (GEP-713)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`said`: there is a status of ours. `stale`: it is about an older generation of the object.

    `refused`, `conflict`, `unresolved` (Backends that are not there) and `unapplied` (by sidecars that refused it)
    are empty where there is nothing to say; else reason and message. `current` of `total` sidecars run this
    generation, None where nobody counts.
    """

    said: bool = False
    stale: bool = False
    refused: str = ""
    conflict: str = ""
    current: int | None = None
    total: int | None = None
    unapplied: str = ""
    unresolved: str = ""

    @property
    def behind(self) -> bool:
        """Are there sidecars that run an older generation?"""
        return self.current is not None and self.total is not None and self.current < self.total


def verdict(item: Obj) -> Verdict:
    """Of an AgentPolicy, a Backend, or an XAccessPolicy, whose status has a part for each of its targets."""
    conditions = list(_conditions(item))
    applied = inner(item, "status", "applied")
    return Verdict(
        bool(conditions),
        _stale(item, conditions),
        _told(conditions, "Accepted", "False"),
        _told(conditions, "Conflicted", "True"),
        _count(applied, "current"),
        _count(applied, "total"),
        _told([one for one in conditions if one.get("reason") == "Refused"], "Applied", "False"),
        _told(conditions, "ResolvedRefs", "False"),
    )


def _conditions(item: Obj) -> Iterator[Obj]:
    yield from _listed(inner(item, "status", "conditions"))
    for ancestor in _listed(inner(item, "status", "ancestors")):
        if ancestor.get("controllerName") == CONTROLLER:
            yield from _listed(ancestor.get("conditions"))


def _listed(value: object) -> list[Obj]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _stale(item: Obj, conditions: list[Obj]) -> bool:
    generation = inner(item, "metadata", "generation")
    seen = [one["observedGeneration"] for one in conditions if isinstance(one.get("observedGeneration"), int)]
    return isinstance(generation, int) and bool(seen) and max(seen) < generation


def _told(conditions: list[Obj], kind: str, status: str) -> str:
    """Reason and message of the first condition that is so."""
    for one in conditions:
        if one.get("type") == kind and one.get("status") == status:
            message = " ".join(str(one.get("message") or "").split()).rstrip(".")
            return ": ".join(filter(None, (str(one.get("reason") or ""), message))) or kind
    return ""


def _count(applied: object, key: str) -> int | None:
    value = applied.get(key) if isinstance(applied, dict) else None
    return value if isinstance(value, int) else None
