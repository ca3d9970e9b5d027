"""Folding: a text in strange letters, or with invisible ones in between, as plain letters. Case stays.

Case stays because tokens and base64 under a disguise need it; a pattern that does not care says
so. Only runs of characters outside ASCII are looked at, so that an honest text with a few of them costs little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from unicodedata import category, decimal, normalize

from sidecar.guardrails.hit import SEPARATOR
from sidecar.guardrails.views.alphabets import (
    INVISIBLE,
    LATIN,
    LETTERS_IN_SHAPES,
    LOOK_ALIKES,
    ORDINARY,
    PUNCTUATION,
    REGIONAL,
    TWINS,
)
from sidecar.guardrails.views.lexicon import WORDS
from sidecar.guardrails.views.scan import compiled, foreign, octets
from sidecar.guardrails.views.stretches import stretches
from sidecar.guardrails.views.view import WHOLE, Piece

CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1e\x7f]"
"""Gate: controls that have no place in a text and part words as well as any invisible character."""

REMEMBERED = 8192
"""Characters whose folding is remembered. There are a million, and a text may hold them all."""

SHORTEST = 3
"""Letters of a word in the lexicon that is written in twins of Latin letters only."""
SHORT = 24
"""Characters of a run whose reading is remembered."""

_strange = re.compile(r"(?:[^\x00-\x7f]|\x1b\[[0-9;?]{0,16}[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1e\x7f])+")
_ansi = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]")
_known: dict[str, str] = {}


def fold(character: str) -> str:
    """What a character is read as, wherever it stands: itself, plain letters, or nothing. Never a separator."""
    folded = _known.get(character)
    if folded is None:
        folded = _fold(character)
        if len(_known) < REMEMBERED:
            _known[character] = folded
    return folded


def _fold(character: str) -> str:
    if character in INVISIBLE or (character < " " and character not in "\t\n\r") or character == "\x7f":
        return ""
    if character < "\x80":
        return character
    known = PUNCTUATION.get(character, LETTERS_IN_SHAPES.get(character, LATIN.get(character)))
    if known is not None:
        return known
    kind = category(character)
    if kind in ("Mn", "Me"):
        return "" if _of_all_scripts(ord(character)) else character
    if kind == "Zs":
        return " "
    if kind == "Nd":
        return str(decimal(character))
    bare = "".join(part for part in normalize("NFKD", character) if category(part) not in ("Mn", "Me"))
    if bare.isascii():
        return bare.strip("()") if len(bare) == 3 else bare
    composed = normalize("NFKC", character)
    return fold(composed) if composed != character and len(composed) == 1 else composed


def _of_all_scripts(code: int) -> bool:
    """Marks that are part of no one script, and so are not needed by any text that is read without accents."""
    return (
        0x300 <= code <= 0x36F
        or 0x483 <= code <= 0x489
        or 0x1AB0 <= code <= 0x1AFF
        or 0x1DC0 <= code <= 0x1DFF
        or 0x20D0 <= code <= 0x20FF
        or 0xFE20 <= code <= 0xFE2F
    )


def folded(text: str) -> list[Piece]:
    """The stretches that read differently when folded."""
    runs: dict[int, tuple[str, ...]] = {}
    worth = []
    for match in _strange_runs(text):
        low, high = match.span()
        reading, telling = _run(text, low, high)
        runs[low] = reading
        if telling:
            worth.append((low, high))
    if not worth:
        return []
    pieces = []
    starts = sorted(runs)
    at_run = 0
    for start, end, _ in stretches(text, worth):
        piece = Piece(text)
        at = start
        while at_run < len(starts) and starts[at_run] < start:
            at_run += 1
        while at_run < len(starts) and starts[at_run] < end:
            low = starts[at_run]
            piece.keep(at, low)
            at = _write(piece, low, runs[low])
            at_run += 1
        piece.keep(at, end)
        pieces.append(piece)
    return pieces


def _strange_runs(text: str) -> Iterator[re.Match[str]]:
    """The runs outside ASCII, and the controls where there are any."""
    everywhere = compiled(CONTROLS).search(octets(text)) is not None
    for low, high in ((0, len(text)),) if everywhere else foreign(text):
        yield from _strange.finditer(text, low, high)


def _write(piece: Piece, low: int, reading: Sequence[str]) -> int:
    """Write a run, as long stretches of one character for one where it goes."""
    begin = low
    pending: list[str] = []
    for shown in reading:
        if len(shown) == 1:
            pending.append(shown)
        else:
            piece.put("".join(pending), begin, low, 1)
            pending = []
            piece.put(shown, low, low + 1, WHOLE)
            begin = low + 1
        low += 1
    piece.put("".join(pending), begin, low, 1)
    return low


def _run(text: str, low: int, high: int) -> tuple[tuple[str, ...], bool]:
    """How each character from `low` to `high` is read, and whether that is worth a view."""
    before = text[low - 1] if low else SEPARATOR
    after = text[high] if high < len(text) else SEPARATOR
    read = _read if high - low <= SHORT else _read.__wrapped__
    return read(text[low:high], _side(before), _side(after))


def _side(neighbour: str) -> str:
    """What matters of a character next to a run: a for a letter or digit of ASCII, and whether a leaf ends."""
    if neighbour.isascii():
        return "a" if neighbour.isalnum() else SEPARATOR if neighbour == SEPARATOR else " "
    return " "


@lru_cache(REMEMBERED)
def _read(run: str, before: str, after: str) -> tuple[tuple[str, ...], bool]:
    reading = [fold(character) for character in run]
    if "\x1b[" in run:
        for match in _ansi.finditer(run):
            reading[match.start() : match.end()] = [""] * (match.end() - match.start())
    shown = "".join(reading)
    if not shown.isascii():
        if "a" in (before, after) or any(map(_latin, shown)):
            reading = [character if character.isascii() else _alike(character) for character in reading]
        else:
            # A word of look-alikes only is Latin if that makes a word of the lexicon.
            alike = [LOOK_ALIKES.get(character, character) for character in reading]
            if len(alike) >= SHORTEST and "".join(alike).lower() in WORDS:
                return tuple(alike), True
            # Where another run has told, what cannot be told from Latin is Latin.
            twins = [TWINS.get(character, character) for character in reading]
            if "".join(twins).isascii():
                return tuple(twins), False
    return tuple(reading), _telling(run, reading, before, after)


def _alike(character: str) -> str:
    """A look-alike as Latin; marks of other scripts have no place next to Latin letters."""
    return LOOK_ALIKES.get(character, "" if category(character[0])[0] == "M" else character)


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _telling(run: str, reading: Sequence[str], before: str, after: str) -> bool:
    """Whether a run hides something: letters come out of it, or it stood in between letters unseen."""
    shown = "".join(reading)
    if not shown:
        return SEPARATOR not in (before, after) and "a" in (before, after)
    if shown == " ":
        return before == after == "a"
    letters = [
        character
        for character, read in zip(run, reading, strict=True)
        if read.isascii() and read[:1].isalnum() and character not in ORDINARY
    ]
    if not letters:
        return False
    if all(ord(character) in REGIONAL for character in letters):
        return len(letters) != 2  # two are a flag
    return True
