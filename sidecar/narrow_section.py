"""The `narrow` section of the sidecar's file: what is taken away from what policies grant.

In a pod it holds what annotations say. A fault in it stops the sidecar, because ignored it would leave more than
its author wanted.
"""

from __future__ import annotations

from typing import Any

from mesh.policy.documents import Mode
from mesh.policy.fields import INVALID, Field, Invalid, Place, list_of, read_object, read_text, text
from mesh.policy.floors import ACTIONS, KINDS, action_fault, rate_fault, rate_of
from mesh.policy.guardrails import Action, DetectorKind
from mesh.policy.metadata import name_check
from mesh.policy.narrowing import Narrowing
from mesh.policy.tool_entries import tool_fault
from mesh.policy.yaml_tree import Node, Sequence

_GLOBS = list_of(text(tool_fault))
_LAYERS = list_of(_GLOBS, at_least=1)


def _allowed(node: Node, place: Place) -> tuple[Any, ...] | Invalid:
    """A list of globs, or a list of such lists, of which each has to allow a tool."""
    layered = isinstance(node, Sequence) and any(isinstance(item, Sequence) for item in node.items)
    if layered:
        return _LAYERS(node, place)  # type: ignore[no-any-return]
    entries = _GLOBS(node, place)
    return entries if isinstance(entries, Invalid) else (entries,)


def _mode(value: str) -> str | None:
    if value == Mode.ENFORCE:
        return None
    return "allowed: enforce; which policies only observe is said by them, and nothing here can weaken that"


def _least(kind: str) -> Field:
    """The least action of a detector."""

    def read(node: Node, place: Place) -> Action | Invalid:
        value = read_text(node, place)
        if isinstance(value, Invalid):
            return value
        fault = action_fault(kind, value)
        return ACTIONS[value] if fault is None else place.error(node, fault)

    return Field(read)


_FLOORS = {kind: _least(kind) for kind in KINDS}


def _guardrails(node: Node, place: Place) -> tuple[tuple[DetectorKind, Action], ...] | Invalid:
    """Actions by detector."""
    values = read_object(node, place, _FLOORS)
    if values is None or INVALID in values.values():
        return INVALID
    return tuple((KINDS[kind], action) for kind, action in values.items() if action is not None)


_FIELDS = {
    "policies": Field(list_of(text(name_check))),
    "toolsAllow": Field(_allowed, ()),
    "toolsDeny": Field(_GLOBS, ()),
    "mode": Field(text(_mode)),
    "guardrails": Field(_guardrails, ()),
    "rates": Field(list_of(text(rate_fault)), ()),
}


def read_narrowing(node: Node, place: Place) -> Narrowing | Invalid:
    """The section, INVALID when a fault was reported."""
    values = read_object(node, place, _FIELDS)
    if values is None or _faulty(values):
        return INVALID
    policies = values["policies"]
    return Narrowing(
        None if policies is None else frozenset(policies),
        values["toolsAllow"],
        values["toolsDeny"],
        values["mode"] is not None,
        _in_order(values["guardrails"]),
        tuple(map(rate_of, values["rates"])),
    )


def _in_order(floors: tuple[tuple[DetectorKind, Action], ...]) -> tuple[tuple[DetectorKind, Action], ...]:
    """By the order of the detectors, whatever that of the text."""
    return tuple(sorted(floors, key=lambda floor: list(DetectorKind).index(floor[0])))


def _faulty(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_faulty, value.values()))
    return any(map(_faulty, value)) if isinstance(value, tuple) else value is INVALID
