"""The vocabulary that schemas are written in: readers turn a YAML node into a checked value, or report and
go on.

A schema is a table of `Field`s. A reader never raises and never stops at the first fault: it returns
`INVALID` after reporting, so that one run tells everything that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final, TypeGuard, TypeVar

from mesh.policy import yaml_tree
from mesh.policy.errors import ErrorLog, shown
from mesh.policy.scalars import plain_boolean, plain_decimal, plain_integer, read_as
from mesh.policy.yaml_tree import Broken, Node, Scalar, Sequence, child_path

E = TypeVar("E", bound=StrEnum)


class Invalid:
    """The type of INVALID: a value that was reported and must not be used."""


INVALID: Final = Invalid()


@dataclass(frozen=True, slots=True)
class Mention:
    """A rule that names a Backend, and those of its fields that only mean something for MCP, and for users."""

    path: str
    backend: str
    mcp_fields: tuple[str, ...]
    user_fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Sheet:
    """What is noted of one document while it is read, for checks between documents.

    Noted even when the document has faults elsewhere, so that those checks need no second run. `lines` tells
    on which line a path stands; `spec` holds the fields of the spec as far as they could be read.
    """

    log: ErrorLog
    lines: dict[str, int] = dataclass_field(default_factory=dict)
    mentions: list[Mention] = dataclass_field(default_factory=list)
    spec: dict[str, Any] = dataclass_field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader stands: its path, and the sheet of its document."""

    sheet: Sheet
    path: str

    def child(self, key: str) -> Place:
        return Place(self.sheet, child_path(self.path, key))

    def item(self, index: int) -> Place:
        return Place(self.sheet, f"{self.path}[{index}]")

    def error(self, node: Node, message: str) -> Invalid:
        """Report a fault of `node`, which stands here; returns INVALID for readers to end with."""
        self.sheet.log.add(node.line, self.path, message)
        return INVALID

    def report(self, message: str, otherwise: int) -> None:
        """Report a fault on the line where this path was read, or on line `otherwise`."""
        self.sheet.log.add(self.sheet.lines.get(self.path, otherwise), self.path, message)


Reader = Callable[[Node, Place], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a schema. `missing` is what to say when it is absent; empty means that it may be."""

    read: Reader
    default: Any = None
    missing: str = ""


def describe(node: Scalar | Sequence | yaml_tree.Mapping) -> str:
    """What was found, for messages that say what was expected."""
    if isinstance(node, yaml_tree.Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.plain and read_as(node.text) == "null":
        return "nothing"
    return shown(node.text)


def read_text(node: Node, place: Place) -> str | Invalid:
    """A string, refused when it is unquoted and some YAML reader would read another type."""
    if isinstance(node, Broken):
        return INVALID
    if not isinstance(node, Scalar):
        return place.error(node, f"expected a string, found {describe(node)}")
    kind = read_as(node.text) if node.plain else "string"
    if kind == "null":
        return place.error(node, "expected a string, found nothing")
    if kind != "string":
        cut = node.text if len(node.text) <= 60 else node.text[:60] + "…"
        return place.error(node, f"expected a string, but YAML reads {cut} as a {kind}; put it in quotes")
    return node.text


def is_another_type(node: Node) -> TypeGuard[Scalar]:
    """Whether it is a word that some YAML reader would not read as a string."""
    return isinstance(node, Scalar) and node.plain and read_as(node.text) not in ("string", "null")


def text(check: Callable[[str], str | None]) -> Reader:
    """A string for which `check` returns None; otherwise what it returns is the fault."""

    def read(node: Node, place: Place) -> str | Invalid:
        value = read_text(node, place)
        if isinstance(value, Invalid):
            return value
        fault = check(value)
        return value if fault is None else place.error(node, fault)

    return read


def choice(kind: type[E], unsupported: tuple[str, ...] = ()) -> Reader:
    """One of the values of an enumeration; `unsupported` ones are known, but not acted on here."""
    allowed = [str(member) for member in kind]

    def read(node: Node, place: Place) -> E | Invalid:
        if is_another_type(node) and node.text not in (*allowed, *unsupported):  # quotes would not help
            return place.error(node, f"{shown(node.text)} is not allowed; allowed: {', '.join(allowed)}")
        value = read_text(node, place)
        if isinstance(value, Invalid):
            return value
        if value in allowed:
            return kind(value)
        if value in unsupported:
            return place.error(
                node, f"{value} is not supported by this version; allowed: {', '.join(allowed)}"
            )
        meant = "" if place.sheet.log.full else suggestion(value, allowed)
        return place.error(node, f"{shown(value)} is not allowed{meant}; allowed: {', '.join(allowed)}")

    return read


def integer(low: int, high: int) -> Reader:
    """An unquoted decimal integer from `low` to `high`."""

    def read(node: Node, place: Place) -> int | Invalid:
        if isinstance(node, Broken):
            return INVALID
        value = plain_integer(node.text) if isinstance(node, Scalar) and node.plain else None
        if value is None:
            return place.error(
                node, f"expected a whole number from {low} to {high}, without quotes, found {describe(node)}"
            )
        if not low <= value <= high:
            return place.error(node, f"{value} is out of range; allowed: {low} to {high}")
        return value

    return read


def number(low: float, high: float) -> Reader:
    """An unquoted decimal number from `low` to `high`."""

    def read(node: Node, place: Place) -> float | Invalid:
        if isinstance(node, Broken):
            return INVALID
        value = plain_decimal(node.text) if isinstance(node, Scalar) and node.plain else None
        if value is None or not isinstance(node, Scalar):
            return place.error(
                node, f"expected a number from {low:g} to {high:g}, without quotes, found {describe(node)}"
            )
        if not low <= value <= high:
            return place.error(node, f"{node.text} is out of range; allowed: {low:g} to {high:g}")
        return value

    return read


def boolean(node: Node, place: Place) -> bool | Invalid:
    """`true` or `false`, unquoted."""
    if isinstance(node, Broken):
        return INVALID
    value = plain_boolean(node.text) if isinstance(node, Scalar) and node.plain else None
    return place.error(node, f"expected true or false, found {describe(node)}") if value is None else value


def list_of(read_item: Reader, *, at_least: int = 0, at_most: int = 1000) -> Reader:
    """A list; the value is a tuple of the valid items, so that later checks can still look at them."""

    def read(node: Node, place: Place) -> tuple[Any, ...] | Invalid:
        if isinstance(node, Broken):
            return INVALID
        if not isinstance(node, Sequence):
            return place.error(node, f"expected a list, found {describe(node)}; an empty list is written []")
        if not at_least <= len(node.items) <= at_most:
            place.error(node, f"{len(node.items)} entries; allowed: {at_least} to {at_most}")
        values = []
        for index, item in enumerate(node.items[:at_most]):
            below = place.item(index)
            place.sheet.lines[below.path] = item.line
            values.append(read_item(item, below))
        return tuple(values)

    return read


def read_object(
    node: Node,
    place: Place,
    fields: Mapping[str, Field],
    *,
    unsupported: tuple[str, ...] = (),
    ignored: frozenset[str] = frozenset(),
) -> dict[str, Any] | None:
    """Every field of the schema with its value, its default or INVALID; None when `node` is no mapping.

    `unsupported` fields mean something that this version does not do, and are refused by that name: a
    security rule is never silently ignored. `ignored` fields carry no meaning for policy.
    """
    if not isinstance(node, yaml_tree.Mapping):
        if not isinstance(node, Broken):
            place.error(node, f"expected a mapping, found {describe(node)}")
        return None
    values: dict[str, Any] = {}
    for entry in node.entries:
        below = place.child(entry.key)
        place.sheet.lines[below.path] = entry.line
        if entry.key in fields:
            values[entry.key] = fields[entry.key].read(entry.value, below)
        elif entry.key in unsupported:
            below.report(
                "not supported by this version; remove it, since it would have no effect", entry.line
            )
        elif entry.key not in ignored:
            meant = "" if place.sheet.log.full else suggestion(entry.key, [*fields, *unsupported])
            below.report(f"unknown field{meant}; allowed: {', '.join(fields)}", entry.line)
    for key, field in fields.items():
        if key not in values:
            if field.missing:
                place.child(key).report(f"missing; {field.missing}", node.line)
            values[key] = INVALID if field.missing else field.default
    return values


def sound(values: Mapping[str, Any]) -> bool:
    """Whether nothing in the values of `read_object` was reported, nor in lists among them."""
    return not any(
        value is INVALID or (isinstance(value, tuple) and INVALID in value) for value in values.values()
    )


def suggestion(word: str, known: Iterable[str]) -> str:
    """A suggestion when `word` is close to a known one."""
    lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower()[:64], list(lower), n=1, cutoff=0.6)
    return f", did you mean {lower[close[0]]}?" if close else ""
