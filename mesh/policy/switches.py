"""Words of which one is `off`, which YAML takes for false: what is meant is plain, so that it needs no quotes."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from mesh.policy.fields import Invalid, Place, Reader, choice
from mesh.policy.yaml_tree import Node, Scalar

E = TypeVar("E", bound=StrEnum)

_OFF = frozenset({"off", "false"})


def switch(kind: type[E], off: E) -> Reader:
    """As `choice`; `off` is also what somebody means who writes a bare `off`, and what an API makes of it."""
    chosen = choice(kind)

    def read(node: Node, place: Place) -> E | Invalid:
        if isinstance(node, Scalar) and node.plain and node.text.lower() in _OFF:
            return off
        value: E | Invalid = chosen(node, place)
        return value

    return read
