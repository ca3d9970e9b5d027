"""How large and how deep a message is, counted before anything reads its texts.

One walk without recursion, which ends as soon as every limit that could be broken is: what is nested a million
deep costs no more than what the limits allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mesh.policy.guardrails import DetectorKind, ShapeOptions
from mesh.protocol.mcp.places import Root

KINDS: Final[dict[str, str]] = {
    "TOO_LARGE": "the message has more bytes than `bytes`",
    "TOO_DEEP": "arrays and objects are nested deeper than `depth`",
    "TOO_MANY_ITEMS": "one array or object has more than `items`",
    "TOO_MANY_VALUES": "all arrays and objects together hold more than `values`",
    "TOO_LONG_TEXT": "one string has more code points than `characters`",
}

Fault = tuple[Root, str, str]
"""Where, a kind, and what is how large, like `4097 characters, 4096 are allowed`."""


class ShapeDetector:
    """Compares messages with limits of which 0 is none. Depth is counted
    from each root: a scalar is at 0, a flat array at 1. The walk ends where it is too deep or holds too many."""

    __slots__ = ("_options", "_walks")

    name: Final[str] = DetectorKind.SHAPE

    def __init__(self, options: ShapeOptions) -> None:
        self._options = options
        self._walks = bool(options.depth or options.items or options.values or options.characters)

    def faults(self, roots: Sequence[Root], size: int) -> list[Fault]:
        """The first fault of each kind; `size` is that of the whole message in bytes."""
        found: dict[str, Fault] = {}
        limit = self._options.bytes
        if limit and size > limit and roots:
            found["TOO_LARGE"] = (roots[0], "TOO_LARGE", f"{size} bytes, {limit} are allowed")
        if self._walks:
            self._walk(roots, found)
        return list(found.values())

    def _walk(self, roots: Sequence[Root], found: dict[str, Fault]) -> None:
        options = self._options
        depth, items, values, characters = options.depth, options.items, options.values, options.characters
        seen = 0
        for root in roots:
            level = 0
            row: list[Any] = [root.holder[root.key]]
            # Level by level: depth is then one counter, and what lies too deep is never opened.
            while row:
                below: list[Any] = []
                for value in row:
                    kind = type(value)
                    if kind is str:
                        if characters and len(value) > characters:
                            _note(found, root, "TOO_LONG_TEXT", len(value), "characters", characters)
                        continue
                    if kind is not dict and kind is not list:
                        continue
                    count = len(value)
                    seen += count
                    if items and count > items:
                        _note(found, root, "TOO_MANY_ITEMS", count, "items", items)
                    if values and seen > values:
                        _note(found, root, "TOO_MANY_VALUES", seen, "values", values)
                        return
                    if kind is dict:
                        if characters and value:
                            longest = max(map(len, value))
                            if longest > characters:
                                _note(
                                    found, root, "TOO_LONG_TEXT", longest, "characters of a key", characters
                                )
                        below.extend(value.values())
                    else:
                        below.extend(value)
                    if depth and level >= depth:
                        _note(found, root, "TOO_DEEP", level + 1, "levels", depth)
                        return
                row = below
                level += 1


def _note(found: dict[str, Fault], root: Root, kind: str, size: int, what: str, limit: int) -> None:
    if kind not in found:
        found[kind] = (root, kind, f"{size} {what}, {limit} are allowed")
