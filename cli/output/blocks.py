"""What a command has to say, before anybody decides how it looks: headings, tables and lines of text.

A renderer for terminals and one for everything else make text of it; JSON is made from the command's own values
and not from these.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Heading:
    """Begins a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, indented by `indent` columns. `state` is a word that says how good it is, for its colour."""

    text: str
    indent: int = 0
    state: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one line of a table, and lines that belong under it."""

    cells: tuple[str, ...]
    below: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Columns; those without a title have none in any row of titles. The last column takes what is left.

    A cell that is a word of `STYLES` gets its colour.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...] = field(default=())


Block = Heading | Line | Table

STYLES = {
    "ok": "green",
    "injected": "green",
    "yes": "green",
    "allowed": "green",
    "warning": "yellow",
    "skipped": "bright_black",
    "info": "cyan",
    "no": "bright_black",
    "failed": "bold red",
    "error": "bold red",
    "refused": "bold red",
    "unsure": "yellow",
}
"""Rich styles by the words that commands use for states."""
