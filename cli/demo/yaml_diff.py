"""Two YAML documents as one short diff: what was added, line by line, and a little of what was there.

A pod with a sidecar is 140 lines long, of which a reader wants the gist. So below the fields of a container
everything is written in one line, lines are cut at the width, and of long lists only the beginning is shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import yaml

BLOCK_LEVELS = 3
LIST_ITEMS = 4
ELLIPSIS = "…"


def diff(
    before: dict[str, Any], after: dict[str, Any], *, width: int, hidden: frozenset[str] = frozenset()
) -> list[tuple[str, str]]:
    """Lines with their sign: `+`, `-` or a space. No line is longer than `width` with its sign and a space.

    Of fields called as in `hidden` only the number is shown.
    """
    old, new = (list(short_yaml(document, width - 2, hidden)) for document in (before, after))
    lines = difflib.ndiff(old, new)
    return [(line[0], line[2:]) for line in lines if line[0] != "?"]


def short_yaml(document: dict[str, Any], width: int, hidden: frozenset[str] = frozenset()) -> Iterator[str]:
    """The document in block style down to the fields of a container, and in one line each below them."""
    for line in _Writer(width, hidden).mapping(document, 0):
        yield line if len(line) <= width else line[: width - 1] + ELLIPSIS


class _Writer:
    def __init__(self, width: int, hidden: frozenset[str]) -> None:
        self._width = width
        self._hidden = hidden

    def mapping(self, value: dict[str, Any], level: int) -> Iterator[str]:
        left_out = 0
        for key, child in value.items():
            if key in self._hidden:
                left_out += 1
            elif isinstance(child, dict) and child and level < BLOCK_LEVELS:
                yield f"{key}:"
                yield from (f"  {line}" for line in self.mapping(child, level + 1))
            elif isinstance(child, list) and child and isinstance(child[0], dict):
                yield f"{key}:"
                yield from self._items(child, level + 1)
            else:
                yield f"{key}: {_flow(child)}"
        if left_out:
            yield _more(left_out, "fields")

    def _items(self, values: list[dict[str, Any]], level: int) -> Iterator[str]:
        for value in values[:LIST_ITEMS]:
            short = _flow(value)
            fits = level >= BLOCK_LEVELS or len(short) + 2 * level + 2 <= self._width
            first, *others = [short] if fits else self.mapping(value, level + 1)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
        if len(values) > LIST_ITEMS:
            yield _more(len(values) - LIST_ITEMS)


def _more(number: int, what: str = "") -> str:
    return f"# {ELLIPSIS} and {number} more {what}".rstrip()


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()
