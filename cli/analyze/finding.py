"""One finding: its code, the object, the place, and what is wrong there."""

from __future__ import annotations

from dataclasses import dataclass

from cli.analyze.inventory import Item
from cli.analyze.table import CODES, Code


@dataclass(frozen=True, slots=True)
class Finding:
    """`line` is 0 where there is no file."""

    code: str
    subject: str
    source: str
    line: int
    message: str

    @property
    def row(self) -> Code:
        """What the table says of its code."""
        return CODES[self.code]

    @property
    def place(self) -> str:
        """`file:line`, or the cluster."""
        return f"{self.source}:{self.line}" if self.line else self.source


def at(item: Item, default: str, code: str, message: str, *path: str | int) -> Finding:
    """A finding about an object, at a path of it."""
    return Finding(code, item.described(default), item.source, item.line(*path), message)
