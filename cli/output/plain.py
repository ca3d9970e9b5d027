"""Blocks as plain text, at most 80 columns wide: for pipes, files and terminals that want no colour."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from cli.output.blocks import Block, Heading, Line, Row, Table

WIDTH = 80
_GAP = 2
_ROOM = 40  # columns for what stands below a row, under its last column; else it begins at the left
_LEAST = 24  # columns that the last column of a table has at least; the others give way


def render(blocks: Iterable[Block], width: int = WIDTH) -> str:
    """The text, with a newline at its end."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Heading(text):
                lines += ["", text] if lines else [text]
            case Line(text, indent):
                lines += wrapped(text, width, indent)
            case Table():
                lines += _table(block, width)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """`text` in lines, continuations as far in as the first; words are never broken."""
    margin = " " * indent
    lines: list[str] = []
    for part in text.split("\n"):
        lines += textwrap.wrap(
            part,
            width,
            initial_indent=margin,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return lines


def _table(table: Table, width: int) -> Iterator[str]:
    titles = [Row(tuple(title.upper() for title in table.columns))] if any(table.columns) else []
    rows = [*titles, *table.rows]
    widths = _widths([row.cells for row in rows], width)
    last = sum(widths[:-1]) + _GAP * len(widths)
    indent = last if width - last >= _ROOM else 2 * _GAP
    for row in rows:
        yield from _row(row.cells, widths)
        for below in row.below:
            yield from wrapped(below, width, indent)


def _widths(rows: list[tuple[str, ...]], width: int) -> list[int]:
    """What each column needs; where that is too much the widest of all but the last give way."""
    if not rows:
        return []
    needed = [max((len(word) for word in cells), default=0) for cells in zip(*rows, strict=True)]
    room = width - _GAP * len(needed)
    last = min(needed[-1], max(_LEAST, room - sum(needed[:-1])))
    while sum(needed[:-1]) + last > room and max(needed[:-1], default=0) > 8:
        needed[needed.index(max(needed[:-1]))] -= 1
    return [*needed[:-1], max(last, room - sum(needed[:-1]))]


def _row(cells: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    columns = [
        textwrap.wrap(cell, size or 1, break_on_hyphens=False) or [""]
        for cell, size in zip(cells, widths, strict=True)
    ]
    for index in range(max(map(len, columns), default=0)):
        parts = [
            (lines[index] if index < len(lines) else "").ljust(size)
            for lines, size in zip(columns, widths, strict=True)
        ]
        yield " " * _GAP + (" " * _GAP).join(parts)
