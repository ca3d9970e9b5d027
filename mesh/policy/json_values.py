"""JSON in documents: what is sent on as it is written, to somebody who knows what it means."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from mesh.policy import yaml_tree
from mesh.policy.fields import INVALID, Invalid, Place, describe, read_text
from mesh.policy.scalars import plain_boolean, read_as
from mesh.policy.yaml_tree import Broken, Node, Scalar, Sequence

MAX_JSON: Final = 16384
"""Characters of one value as JSON."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,2})?")


def read_json_object(node: Node, place: Place) -> str | Invalid:
    """A mapping; its value is a JSON text with sorted keys."""
    if isinstance(node, Broken):
        return INVALID
    if not isinstance(node, yaml_tree.Mapping):
        return place.error(node, f"expected a mapping, found {describe(node)}")
    value = _value(node, place)
    if isinstance(value, Invalid):
        return INVALID
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if len(text) > MAX_JSON:
        return place.error(node, f"{len(text)} characters as JSON; at most {MAX_JSON} are allowed")
    return text


def _value(node: Node, place: Place) -> Any:
    if isinstance(node, yaml_tree.Mapping):
        entries = {entry.key: _value(entry.value, place.child(entry.key)) for entry in node.entries}
        return INVALID if INVALID in entries.values() else entries
    if isinstance(node, Sequence):
        items = [_value(item, place.item(index)) for index, item in enumerate(node.items)]
        return INVALID if INVALID in items else items
    return _scalar(node, place) if isinstance(node, Scalar) else INVALID


def _scalar(node: Scalar, place: Place) -> Any:
    """What every reader of YAML takes a word for; where they disagree it has to be in quotes."""
    if node.plain:
        if _NUMBER.fullmatch(node.text):
            return json.loads(node.text)
        if read_as(node.text) == "null":
            return None
        known = plain_boolean(node.text)
        if known is not None:
            return known
    return read_text(node, place)
