"""What names of Gateway API may look like, and readers that its schemas share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mesh.policy.errors import shown
from mesh.policy.fields import INVALID, Invalid, Place, Reader, list_of
from mesh.policy.yaml_tree import Node

_LABELS = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
_SUBDOMAIN = re.compile(_LABELS)
_GROUP = re.compile(rf"(?:{_LABELS})?")
_KIND = re.compile(r"[a-zA-Z](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_HOST = re.compile(rf"(?:\*\.)?{_LABELS}")
_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")

Check = Callable[[str], str | None]


def shaped(pattern: re.Pattern[str], at_most: int, what: str) -> Check:
    """A check that the whole of a string has a shape, and 1 (or, if the shape allows it, 0) to `at_most`
    characters."""

    def check(value: str) -> str | None:
        if len(value) <= at_most and pattern.fullmatch(value):
            return None
        return f"{shown(value)} is no {what} of at most {at_most} characters"

    return check


def any_text(at_most: int, *, empty: bool = False) -> Check:
    """A check of a string's length alone."""

    def check(value: str) -> str | None:
        if not value and not empty:
            return f"a string of 1 to {at_most} characters is needed"
        if len(value) > at_most:
            return f"{len(value)} characters; at most {at_most} are allowed"
        return None

    return check


rule_name = shaped(_SUBDOMAIN, 63, "name (a-z 0-9 - . with a letter or digit at both ends)")
section_name = shaped(_SUBDOMAIN, 253, "name (a-z 0-9 - . with a letter or digit at both ends)")
group = shaped(_GROUP, 253, "API group")
kind = shaped(_KIND, 63, "kind")
namespace = shaped(_NAMESPACE, 63, "namespace")
host = shaped(_HOST, 253, "lower-case host name, or *. and one,")
field_name = shaped(_FIELD_NAME, 256, "header name")


def set_of(read_item: Reader, *, at_most: int, one: str) -> Reader:
    """A list of distinct values; `one` is what an entry is called. INVALID when any entry is."""
    read_all = list_of(read_item, at_most=at_most)

    def read(node: Node, place: Place) -> tuple[Any, ...] | Invalid:
        values: tuple[Any, ...] | Invalid = read_all(node, place)
        if isinstance(values, Invalid):
            return values
        seen: dict[Any, int] = {}
        for index, value in enumerate(values):
            first = seen.setdefault(value, index)
            if first != index and value is not INVALID:
                place.item(index).report(f"this {one} is at [{first}] too; keep one", node.line)
                return INVALID
        return INVALID if INVALID in values else values

    return read


def all_of(read_item: Reader, *, at_least: int = 0, at_most: int) -> Reader:
    """A list of which every entry is valid, or INVALID."""
    read_all = list_of(read_item, at_least=at_least, at_most=at_most)

    def read(node: Node, place: Place) -> tuple[Any, ...] | Invalid:
        values: tuple[Any, ...] | Invalid = read_all(node, place)
        if isinstance(values, Invalid) or INVALID in values or not at_least <= len(values):
            return INVALID
        return values

    return read
