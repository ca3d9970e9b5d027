"""Texts with what was found in them marked: in colour on a terminal, between brackets anywhere else.

What is shown was written by strangers: what steers a terminal, or cannot be seen, is not written as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from cli.output import write

WHOLE: Final = 4000
"""Characters that a text may have and still be shown as a whole."""
AROUND: Final = 80
"""Characters that are shown before and after what was found in a longer one."""
STYLES: Final = {
    "pii": "bold yellow",
    "secrets": "bold red",
    "sql": "bold blue",
    "injection": "bold magenta",
    "exfiltration": "bold cyan",
}
_OPEN, _CLOSE = "\u27e6", "\u27e7"


class Mark(NamedTuple):
    """Something was found by a detector at code points `start` to `end`."""

    start: int
    end: int
    detector: str


def pieces(text: str, marks: Iterable[Mark], most: int = WHOLE) -> Iterator[tuple[str, str]]:
    """Text in pieces, each with the detector that found it, or none. Of marks that overlap the first counts.

    Of a text of more than `most` characters only what stands around the marks.
    """
    at = 0
    short = len(text) <= most
    for start, end, detector in sorted(marks):
        start = max(start, at)
        if start >= end:
            continue
        yield (visible(text[at:start]) if short else _between(text[at:start], first=not at)), ""
        yield visible(text[start:end]), detector
        at = end
    rest = text[at:]
    yield visible(rest if short or len(rest) <= AROUND else f"{rest[:AROUND]}…"), ""


def _between(text: str, *, first: bool) -> str:
    if len(text) <= 2 * AROUND:
        return visible(text)
    return visible(f"{'' if first else text[:AROUND]}…{text[-AROUND:]}")


def visible(text: str) -> str:
    """`text` with everything that cannot be seen, or steers a terminal, spelt out."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else f"\\u{{{ord(one):x}}}" for one in text)


def show(title: str, text: str, marks: Iterable[Mark], most: int = WHOLE) -> None:
    """Write one text to standard output, `most` as for `pieces`."""
    shown = [(piece, detector) for piece, detector in pieces(text, marks, most) if piece]
    if write.colourful():
        from rich.console import Console
        from rich.text import Text

        painted = Text.assemble(*((piece, STYLES.get(detector, "")) for piece, detector in shown))
        console = Console(highlight=False, markup=False)
        console.print(Text(visible(title), "bold"))
        console.print(painted, soft_wrap=True)
    else:
        marked = "".join(f"{_OPEN}{piece}{_CLOSE}" if detector else piece for piece, detector in shown)
        sys.stdout.write(f"{visible(title)}\n{marked}\n")
