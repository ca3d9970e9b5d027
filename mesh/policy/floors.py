"""Entries of annotations about content: `pii=mask` is the least that happens, `github/get_issue=5/m` the most.

They add to what policies say and take nothing back, so that there is no `off` among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mesh.policy.detector_schema import WITHOUT_MASK
from mesh.policy.errors import shown
from mesh.policy.guardrails import Action, DetectorKind, Rate
from mesh.policy.rate_schema import MAX_REQUESTS
from mesh.policy.tool_entries import tool_fault

Floor = tuple[DetectorKind, Action]

EVERY_TOOL: Final = "*/*"
KINDS: Final = {kind.value: kind for kind in DetectorKind if kind is not DetectorKind.EXTERNAL}
ACTIONS: Final = {action.name.lower(): action for action in Action if action is not Action.OFF}

_RATE = re.compile(r"([1-9][0-9]{0,6})/([smh])")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_UNITS: Final = {seconds: unit for unit, seconds in _SECONDS.items()}


def action_fault(kind: str, action: str) -> str | None:
    """What is wrong with the least action of a detector, both as they are written, or None."""
    if kind not in KINDS:
        return f"{shown(kind)} is no detector; allowed: {', '.join(KINDS)}"
    if action == "off":
        return "an annotation only makes it stricter, and off would not; allowed: " + ", ".join(ACTIONS)
    if action not in ACTIONS:
        return f"{shown(action)} is no action; allowed: {', '.join(ACTIONS)}"
    if action == "mask" and KINDS[kind] in WITHOUT_MASK:
        return f"{kind} masks nothing, since {WITHOUT_MASK[KINDS[kind]]}; write flag or block"
    return None


def floor_fault(entry: str) -> str | None:
    """What is wrong with an entry like `pii=mask`, or None."""
    kind, equals, action = entry.partition("=")
    if not equals:
        return "an entry is a detector and an action, like pii=mask or secrets=block"
    return action_fault(kind.strip(), action.strip())


def floors_of(entries: Iterable[str]) -> tuple[Floor, ...]:
    """The strictest action that entries without fault ask of each detector."""
    found: dict[DetectorKind, Action] = {}
    for entry in entries:
        kind, _, action = (part.strip() for part in entry.partition("="))
        found[KINDS[kind]] = max(found.get(KINDS[kind], Action.OFF), ACTIONS[action])
    return tuple((kind, found[kind]) for kind in KINDS.values() if kind in found)


def floor_entry(floor: Floor) -> str:
    """An entry as it is written."""
    return f"{floor[0].value}={floor[1].name.lower()}"


def rate_fault(entry: str) -> str | None:
    """What is wrong with an entry like `60/m` or `github/create_issue=5/m`, or None."""
    glob, _, rate = (part.strip() for part in entry.rpartition("="))
    match = _RATE.fullmatch(rate)
    if match is None or int(match[1]) > MAX_REQUESTS:
        return f"{shown(rate)} is no rate; allowed: like 10/s, 60/m or 1000/h, up to {MAX_REQUESTS}"
    return tool_fault(glob) if "=" in entry else None


def rate_of(entry: str) -> tuple[str, Rate]:
    """What an entry without fault says: a glob `backend/tool`, and its rate."""
    glob, _, text = (part.strip() for part in entry.rpartition("="))
    requests, _, unit = text.partition("/")
    return glob or EVERY_TOOL, Rate(int(requests), _SECONDS[unit])


def rate_entry(glob: str, rate: Rate) -> str:
    """An entry as it is written."""
    text = f"{rate.requests}/{_UNITS[rate.seconds]}"
    return text if glob == EVERY_TOOL else f"{glob}={text}"
