"""Words whose letters are set apart: `i g n o r e`, `i.g.n.o.r.e`, `i-g-n-o-r-e a-l-l`, one in each line."""

from __future__ import annotations

import re
from collections import Counter

from sidecar.guardrails.views.lexicon import WORDS
from sidecar.guardrails.views.scan import WORD_STARTS, runs
from sidecar.guardrails.views.stretches import stretches
from sidecar.guardrails.views.view import Piece

_between = r"[ \t\r\n._*|/+,~:;\\-]"
SPACED = rf"{WORD_STARTS}[A-Za-z](?:{_between}{{1,3}}[A-Za-z]){{3}}(?:$|[^A-Za-z0-9])"

# Single characters with a few separators between them, from a letter on. Any sign may stand among the letters.
_run = re.compile(rf"(?<![A-Za-z0-9])[A-Za-z](?:{_between}{{1,4}}[^\s\x1f](?![A-Za-z0-9])){{3,}}")
_gap = re.compile(r"(?<=[A-Za-z0-9])[^A-Za-z0-9]+(?=[A-Za-z0-9])")

FEWEST = 4
"""Letters that must be set apart."""
RUN_TOGETHER = 10
"""Letters from which a word is looked at for being several."""
_LONGEST = max(map(len, WORDS))


def spaced(text: str) -> list[Piece]:
    """The stretches with such words, put together. What parts most letters goes, more than that parts words."""
    spans = (match.span() for match in runs(SPACED, _run, text) if _set_apart(match[0]))
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


def _set_apart(run: str) -> bool:
    """Whether there are letters enough, and most are parted alike; abbreviations in a row are not."""
    gaps = _gap.findall(run)
    return len(gaps) >= FEWEST - 1 and Counter(gaps).most_common(1)[0][1] * 2 > len(gaps)


def _join(piece: Piece, low: int, high: int) -> None:
    run = piece.source[low:high]
    usual = Counter(_gap.findall(run)).most_common(1)[0][0]
    parts = run.split(usual)
    # A dot between dots is a dot, as in an address, unless nothing else parts the words.
    literal = usual == "." and any("_" in part or " " in part for part in parts)
    ends = "_" if usual.strip() else "_/|"
    word: list[str] = []
    at = begin = low
    empty = False
    for part in parts:
        if (len(part) == 1 and part not in ends) or (literal and not part and not empty):
            if not word:
                begin = at
            word.append(part or usual)
        elif part or not empty:
            _write(piece, "".join(word), begin, len(usual) + 1)
            word = []
            if part in ends:  # or nothing: twice what parts letters parts words
                piece.put(" ", at - (0 if part else len(usual)), at + len(part))
            else:
                piece.keep(at, at + len(part))
        elif word:  # the second of two empty parts, of which a dot was made
            _write(piece, "".join(word), begin, len(usual) + 1)
            word = []
        empty = not part
        at += len(part) + len(usual)
    _write(piece, "".join(word), begin, len(usual) + 1)


def _write(piece: Piece, word: str, low: int, step: int) -> None:
    """Write a word whose letters stand `step` apart, with spaces if it is several of the lexicon run together."""
    begin = 0
    for end in [*_ends(word), len(word)]:
        at = low + begin * step
        if begin:
            piece.put(" ", at, at)
        piece.put(word[begin:end], at, low + (end - 1) * step + 1, -step)
        begin = end


def _ends(word: str) -> list[int]:
    """Where words of the lexicon end in a word, if they are most of it; always the longest that fits."""
    if len(word) < RUN_TOGETHER:
        return []
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
        return []
    return [end for end in sorted(ends) if 0 < end < len(lower) and lower[end - 1 : end + 1].isalpha()]
