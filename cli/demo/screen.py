"""How the demo looks: colours and a spinner on a terminal, plain lines anywhere else.

Nothing but this module knows of rich. NO_COLOR, TERM=dumb and pipes are rich's own business; what it does not
do is to write marks that the output's encoding has.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli.demo.findings import Finding

WIDTH = 100

_DIFF_STYLES = {"+": "green", "-": "red", " ": "dim"}


class Screen:
    """Writes to `console`, at most `WIDTH` columns wide."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        width = self._console.width if self._console.is_terminal else WIDTH
        self._console.width = min(WIDTH, width)
        ascii_only = self._console.options.ascii_only
        self._tick, self._cross = ("ok", "FAILED") if ascii_only else ("✓", "✗")
        self._numbers = iter(range(1, 100))

    @property
    def width(self) -> int:
        """Columns that a line may have."""
        return self._console.width

    def title(self, title: str, subtitle: str) -> None:
        """The first lines."""
        self._console.print()
        self._console.print(Text(title, "bold"))
        self._console.print(Text(subtitle, "dim"))

    def heading(self, title: str) -> None:
        """A numbered heading."""
        self._console.print()
        self._console.print(Text.assemble((f"{next(self._numbers)} ", "cyan"), (title, "bold cyan")))

    def progress(self, text: str) -> AbstractContextManager[object]:
        """A spinner while the context lasts; nothing where there is no terminal."""
        return self._console.status(Text(text))

    def started(self, what: str) -> None:
        """Something runs now."""
        self._line(self._tick, "green", what, "")

    def finding(self, finding: Finding) -> None:
        """A tick and the statement; or a cross, and what was seen in place of what was expected."""
        if finding.holds:
            self._line(self._tick, "green", finding.statement, "")
            if finding.evidence:
                self._detail(finding.evidence, "dim")
            return
        self._line(self._cross, "bold red", finding.statement, "red")
        self._detail(f"expected: {finding.expected}", "red")
        self._detail(f"seen:     {finding.seen}", "red")

    def findings(self, findings: Iterable[Finding]) -> None:
        """Each of them."""
        for finding in findings:
            self.finding(finding)

    def diff(self, lines: Sequence[tuple[str, str]]) -> None:
        """Lines with the sign that says what became of them."""
        for sign, line in lines:
            self._console.print(Text(f"  {sign} {line}", _DIFF_STYLES[sign]), overflow="crop", no_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A small table; a cell that is empty shows a dash."""
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
        for column in columns:
            table.add_column(column)
        for row in rows:
            table.add_row(*(escape(cell) if cell else Text("-", "dim") for cell in row))
        self._console.print(Padding(table, (0, 0, 0, 2), expand=False))

    def summary(self, sentence: str, *, good: bool) -> None:
        """The result."""
        self._console.print()
        self._console.print(Text(sentence, "bold green" if good else "bold red"))

    def next_steps(self, steps: Iterable[tuple[str, str]]) -> None:
        """Commands and what they are for."""
        self._console.print()
        self._console.print(Text("Next", "bold"))
        grid = Table.grid(padding=(0, 3, 0, 0))
        for command, purpose in steps:
            grid.add_row(Text(command, "cyan", overflow="fold"), Text(purpose))
        self._console.print(Padding(grid, (0, 0, 0, 2), expand=False))

    def failure(self, what: str, output: str) -> None:
        """A part that failed, and the last that it wrote."""
        self._line(self._cross, "bold red", what, "red")
        for line in output.splitlines():
            self._detail(line, "red")

    def _line(self, mark: str, mark_style: str, text: str, style: str) -> None:
        first, *others = self._wrapped(text, indent=3 + len(mark))
        self._console.print(Text.assemble("  ", (mark, mark_style), " ", (first, style)))
        for line in others:
            self._console.print(Text(f"{' ' * (3 + len(mark))}{line}", style))

    def _detail(self, text: str, style: str) -> None:
        for line in self._wrapped(text, indent=4):
            self._console.print(Text(f"    {line}", style))

    def _wrapped(self, text: str, *, indent: int) -> list[str]:
        """Lines that fit behind the indent. SPIFFE IDs and rules are not broken at their hyphens."""
        width = max(self._console.width - indent, 20)
        return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
