"""Spans of time in documents, like `30s` or `5m`."""

from __future__ import annotations

import re

from mesh.policy.errors import shown
from mesh.policy.fields import Invalid, Place, Reader, is_another_type, read_text
from mesh.policy.yaml_tree import Node

_DURATION = re.compile(r"([0-9]{1,6})(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(low: str, high: str) -> Reader:
    """A span from `low` to `high`, both in the same notation; its value is in seconds."""
    least, most = seconds_of(low), seconds_of(high)

    def read(node: Node, place: Place) -> float | Invalid:
        if is_another_type(node):
            unit = f"{node.text}s" if node.text.isdecimal() else "30s"
            return place.error(node, f"{shown(node.text)} has no unit; write it like {unit}, 5m or 500ms")
        value = read_text(node, place)
        if isinstance(value, Invalid):
            return value
        if not _DURATION.fullmatch(value):
            return place.error(node, f"{shown(value)} is no span of time; write it like 30s, 5m or 500ms")
        found = seconds_of(value)
        if not least <= found <= most:
            return place.error(node, f"{value} is out of range; allowed: {low} to {high}")
        return found

    return read


def seconds_of(text: str) -> float:
    """The seconds of a well-formed span."""
    match = _DURATION.fullmatch(text)
    assert match is not None  # noqa: S101 - whoever calls has looked
    return int(match[1]) * _SECONDS[match[2]]
