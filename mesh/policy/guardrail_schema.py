"""The schema of `guardrails`: detectors in the short form, and an ordered list of processors.

The short form has one entry for each detector, asked in a fixed order whatever the order of the text; what
`processors` lists is asked after those, as listed.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from mesh.policy import yaml_tree
from mesh.policy.detector_schema import (
    COMMON_FIELDS,
    MASKING,
    OPTION_FIELDS,
    WITHOUT_MASK,
    ActionWord,
    processor_of,
    read_action,
)
from mesh.policy.durations import duration
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Place,
    boolean,
    choice,
    list_of,
    read_object,
    sound,
    text,
)
from mesh.policy.guardrails import DetectorKind, ExternalOptions, Guardrails, Processor
from mesh.policy.metadata import name_check
from mesh.policy.yaml_tree import Node, Scalar

MAX_PROCESSORS: Final = 50

DETECTOR_FIELDS: Final[dict[DetectorKind, dict[str, Field]]] = {
    kind: {**COMMON_FIELDS, **fields}
    for kind, fields in OPTION_FIELDS.items()
    if kind is not DetectorKind.EXTERNAL
}
"""What may stand below the name of a detector, in the order in which detectors are asked."""


def processor_name_fault(value: str) -> str | None:
    """What is wrong with the name of a processor, or None."""
    return name_check(value)


def read_detector(kind: DetectorKind, node: Node, place: Place) -> Processor | Invalid:
    """An action alone, like `mask`, or `{action: mask, ...}`."""
    fields = DETECTOR_FIELDS[kind]
    if not isinstance(node, Scalar):
        return _processor(kind.value, kind, read_object(node, place, fields), node, place)
    action = read_action(node, place)
    if isinstance(action, Invalid):
        return INVALID
    values = {key: field.default for key, field in fields.items()} | {"action": action}
    faults = _faults(kind, values, frozenset())
    for _, message in faults:
        place.error(node, message)
    return INVALID if faults else processor_of(kind.value, kind, values, frozenset())


def _processor(
    name: Any, kind: DetectorKind, values: dict[str, Any] | None, node: Node, place: Place
) -> Processor | Invalid:
    if values is None:
        return INVALID
    written = (
        frozenset(entry.key for entry in node.entries) if isinstance(node, yaml_tree.Mapping) else frozenset()
    )
    faults = _faults(kind, values, written)
    for key, message in faults:
        place.child(key).report(message, node.line)
    if faults or not sound(values) or isinstance(name, Invalid):
        return INVALID
    return processor_of(name, kind, values, written)


def _faults(kind: DetectorKind, values: dict[str, Any], written: frozenset[str]) -> list[tuple[str, str]]:
    """What contradicts itself, by the field that says so."""
    action = values["action"]
    if action is ActionWord.OFF:
        return [
            (key, "action off is for the detector as a whole; remove this, or write another action")
            for key in sorted(written - {"action", "name", "detector"})
            if values.get(key) != _default(key)
        ]
    faults = _needed(kind, values)
    if action is ActionWord.MASK:
        faults += _unmaskable(kind, values)
    return faults


def _default(key: str) -> Any:
    """What an absent field means: an API server writes it into the object."""
    field = PROCESSOR_FIELDS.get(key)
    return None if field is None else field.default


def _needed(kind: DetectorKind, values: dict[str, Any]) -> list[tuple[str, str]]:
    """What a detector cannot do without."""
    if kind is DetectorKind.TERMS and values["words"] == ():
        return [("words", "needs the terms to look for: {action: block, words: [...]}")]
    if kind is DetectorKind.EXTERNAL and values["external"] is None:
        return [("external", "missing; write whom to ask: {kind: ..., url: https://...}")]
    limits = tuple(OPTION_FIELDS[DetectorKind.SHAPE])
    if kind is DetectorKind.SHAPE and not any(values[key] for key in limits):
        return [
            (limits[0], f"needs at least one limit of {', '.join(limits)}: {{action: block, bytes: 65536}}")
        ]
    return []


def _unmaskable(kind: DetectorKind, values: dict[str, Any]) -> list[tuple[str, str]]:
    if kind in WITHOUT_MASK:
        return [("action", f"{kind} masks nothing, since {WITHOUT_MASK[kind]}; write flag or block")]
    external = values.get("external")
    if isinstance(external, ExternalOptions) and external.kind not in MASKING:
        known = " and ".join(sorted(MASKING))
        return [("action", f"{external.kind} does not say what to mask, as {known} do; write flag or block")]
    return []


_ALL_OPTIONS: Final = {key: field for fields in OPTION_FIELDS.values() for key, field in fields.items()}
PROCESSOR_FIELDS: Final = {
    "name": Field(text(processor_name_fault), missing="a name of yours, by which logs and metrics tell it"),
    "detector": Field(choice(DetectorKind), missing=f"allowed: {', '.join(DetectorKind)}"),
    **COMMON_FIELDS,
    **_ALL_OPTIONS,
}


def read_processor(node: Node, place: Place) -> Processor | Invalid:
    """One entry of `processors`."""
    values = read_object(node, place, PROCESSOR_FIELDS)
    if values is None:
        return INVALID
    kind = values["detector"]
    if isinstance(kind, Invalid):
        return INVALID
    own = OPTION_FIELDS[kind]
    keys = [entry.key for entry in node.entries] if isinstance(node, yaml_tree.Mapping) else []
    foreign = [key for key in keys if key in _ALL_OPTIONS and key not in own]
    for key in foreign:
        owner = next(one for one, fields in OPTION_FIELDS.items() if key in fields)
        place.child(key).report(f"this is said of the detector {owner}, not of {kind}; remove it", node.line)
    kept = {key: value for key, value in values.items() if key in COMMON_FIELDS or key in own}
    found = _processor(values["name"], kind, kept, node, place)
    return INVALID if foreign else found


_SHORT_FIELDS: Final = {kind.value: Field(partial(read_detector, kind)) for kind in DETECTOR_FIELDS}
GUARDRAILS_FIELDS: Final = {
    **_SHORT_FIELDS,
    "processors": Field(list_of(read_processor, at_most=MAX_PROCESSORS), default=()),
    "reversible": Field(boolean, default=False),
    "budget": Field(duration("1ms", "10s"), default=Guardrails().budget),
}


def read_guardrails(node: Node, place: Place) -> Guardrails | Invalid:
    """The section `guardrails`."""
    values = read_object(node, place, GUARDRAILS_FIELDS)
    if values is None:
        return INVALID
    listed = values["processors"]
    distinct = isinstance(listed, Invalid) or _distinct(listed, place, node)
    if not distinct or not sound(values):
        return INVALID
    short = tuple(values[key] for key in _SHORT_FIELDS if values[key] is not None)
    return Guardrails(short + listed, values["reversible"], values["budget"])


def _distinct(listed: tuple[Any, ...], place: Place, node: Node) -> bool:
    """Report names that stand twice: logs and metrics tell processors by them."""
    taken = {kind.value: f"the detector {kind}, as which" for kind in DETECTOR_FIELDS}
    distinct = True
    for index, one in enumerate(listed):
        if isinstance(one, Invalid):
            continue
        if one.name in taken:
            where = place.child("processors").item(index).child("name")
            where.report(
                f"{one.name} is the name of {taken[one.name]} logs tell it; choose another", node.line
            )
            distinct = False
        taken.setdefault(one.name, f"processors[{index}], by which")
    return distinct
