"""Blocks on a terminal: colour, and tables as wide as it is. Nothing else of these commands knows of rich."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from cli.output.blocks import STYLES, Block, Heading, Line, Table

_MOST_COLUMNS = 120
_INDENT = 2


def render(blocks: Iterable[Block], console: Console) -> None:
    """Write the blocks."""
    console.width = min(console.width, _MOST_COLUMNS)
    first = True
    for block in blocks:
        match block:
            case Heading(text):
                if not first:
                    console.print()
                console.print(Text(text, "bold"))
            case Line(text, indent, state):
                console.print(Padding(Text(text, STYLES.get(state, "")), (0, 0, 0, indent)))
            case Table():
                console.print(Padding(_table(block), (0, 0, 0, _INDENT)))
        first = False


def _table(table: Table) -> RichTable:
    shown = RichTable(
        box=None, show_header=any(table.columns), header_style="bold", pad_edge=False, padding=(0, 1)
    )
    last = len(table.columns) - 1
    for index, title in enumerate(table.columns):
        shown.add_column(title.upper(), overflow="fold", ratio=1 if index == last else None)
    for row in table.rows:
        shown.add_row(*[Text(cell, STYLES.get(cell, "")) for cell in row.cells])
        for below in row.below:
            shown.add_row(*[Text("")] * last, Text(below, "dim"))
    return shown
