"""Sentences of a text: the model looks at them one by one, so that a planted one is not drowned by honest ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MOST_CHARACTERS: Final = 400
"""A sentence that is longer is read in pieces: what has no full stops must not become one window."""

_ENDS: Final = re.compile(r"[.!?:;][\s\"')\]]+|[\n\r\x1f。！？]|-->|[<>|]")
_STOPS: Final = (
    *("\x1f", "\n", ". ", ": ", "! ", "? ", "; ", "\r", "。", "！", "？", "<", ">", "|"),
    *('." ', '!" ', '?" ', ".' ", ".) "),
)
_WORDS: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def words(sentence: str) -> list[str]:
    """Its words in lower case, without numbers: numbers, identifiers and amounts say nothing of intent."""
    return [word.replace("’", "'") for word in _WORDS.findall(sentence.lower())]


def windows(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence, or piece of one, between two positions."""
    end = len(text) if end is None else end
    for found in _ENDS.finditer(text, start, end):
        yield from _pieces(start, found.start() + 1)
        start = found.end()
    yield from _pieces(start, end)


def window_around(text: str, at: int) -> tuple[int, int]:
    """The sentence, or the piece of one, in which a position lies; at most MOST_CHARACTERS to either side."""
    begin = max(0, at - MOST_CHARACTERS)
    limit = min(len(text), at + MOST_CHARACTERS)
    start = begin
    # Backwards it is C that searches: a third of the time of the expression, for what ends nearly all sentences.
    for stop in _STOPS:
        found = text.rfind(stop, begin, at)
        if found >= 0:
            start = begin = found + len(stop)
    after = _ENDS.search(text, at, limit)
    return start, (limit if after is None else after.start() + 1)


def _pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > 2 * MOST_CHARACTERS:
        yield start, start + 2 * MOST_CHARACTERS
        start += MOST_CHARACTERS
    if end > start:
        yield start, end
