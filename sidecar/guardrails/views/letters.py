"""Words whose letters are set apart: `i g n o r e`, `i.g.n.o.r.e`, `i-g-n-o-r-e a-l-l`, one in each line."""

from __future__ import annotations

import re
from collections import Counter

from sidecar.guardrails.views.lexicon import WORDS
from sidecar.guardrails.views.scan import runs
from sidecar.guardrails.views.stretches import stretches
from sidecar.guardrails.views.view import Piece

_between = r"[ \t\r\n._*|/+,~:;\\-]"
SPACED = rf"(?:^|[^A-Za-z0-9])[A-Za-z](?:{_between}{{1,3}}[A-Za-z]){{3}}(?:$|[^A-Za-z0-9])"

# Single characters with a few separators between them, from a letter on. Any sign may stand among the letters.
_run = re.compile(rf"(?<![A-Za-z0-9])[A-Za-z](?:{_between}{{1,4}}[^\s\x1f](?![A-Za-z0-9])){{3,}}")
_gap = re.compile(r"(?<=[A-Za-z0-9])[^A-Za-z0-9]+(?=[A-Za-z0-9])")
_letter = re.compile(r"[A-Za-z0-9]")

FEWEST = 4
"""Letters that must be set apart."""
RUN_TOGETHER = 10
"""Letters from which a word is looked at for being several."""
_LONGEST = max(map(len, WORDS))


def spaced(text: str) -> list[Piece]:
    """The stretches with such words, put together. What parts most letters goes, more than that parts words."""
    spans = (match.span() for match in runs(SPACED, _run, text) if len(_letter.findall(match[0])) >= FEWEST)
    pieces = []
    for start, end, inside in stretches(text, spans):
        piece = Piece(text)
        at = start
        for low, high in inside:
            piece.keep(at, low)
            _join(piece, low, high)
            at = high
        piece.keep(at, end)
        pieces.append(piece)
    return pieces


def _join(piece: Piece, low: int, high: int) -> None:
    run = piece.source[low:high]
    usual = Counter(_gap.findall(run)).most_common(1)[0][0]
    parts = run.split(usual)
    # A dot between dots is a dot, as in an address, unless nothing else parts the words.
    literal = usual == "." and any("_" in part or " " in part for part in parts)
    word: list[tuple[str, int]] = []
    at = low
    empty = False
    for part in parts:
        if len(part) == 1 and part != "_":
            word.append((part, at))
        elif part:
            _write(piece, word)
            word = []
            if part == "_":
                piece.put(" ", at, at + 1)
            else:
                piece.keep(at, at + len(part))
        elif not empty:
            if literal:
                word.append((usual, at))
            else:
                _write(piece, word)
                word = []
                piece.put(" ", at - len(usual), at)
        empty = not part
        at += len(part) + len(usual)
    _write(piece, word)


def _write(piece: Piece, word: list[tuple[str, int]]) -> None:
    """Write a word letter by letter, with spaces if it is several words of the lexicon run together."""
    ends = _ends("".join(letter for letter, _ in word)) if len(word) >= RUN_TOGETHER else frozenset[int]()
    for index, (letter, at) in enumerate(word):
        if index in ends:
            piece.put(" ", at, at)
        piece.put(letter, at, at + 1, 1)


def _ends(word: str) -> frozenset[int]:
    """Where words of the lexicon end in a word, if they are most of it; always the longest that fits."""
    lower = word.lower()
    ends: set[int] = set()
    known = at = 0
    while at < len(lower):
        size = next(
            (size for size in range(min(_LONGEST, len(lower) - at), 1, -1) if lower[at : at + size] in WORDS),
            0,
        )
        if size:
            ends.update((at, at + size))
            known += size
        at += size or 1
    if known * 4 < len(lower) * 3:
        return frozenset()
    return frozenset(end for end in ends if 0 < end < len(lower) and lower[end - 1 : end + 1].isalpha())
