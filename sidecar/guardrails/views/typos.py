"""Words of orders with two letters swapped, one left out or one doubled: `igonre`, `instrctions`, `passsword`.

A model reads over that; a pattern does not. Only words that matter are mended, from a table that is made once.
"""

from __future__ import annotations

import re

from sidecar.guardrails.views.lexicon import ORDERS, STRONG, WORDS
from sidecar.guardrails.views.scan import WORD_STARTS, windows
from sidecar.guardrails.views.view import Piece

SHORTEST = 5


def _slips(word: str) -> set[str]:
    """The first letter stays, as it does when people misspell."""
    inner = range(1, len(word) - 1)
    slips = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in inner}
    if len(word) > 6:
        slips |= {word[:i] + word[i + 1 :] for i in inner}
        slips |= {word[:i] + word[i] + word[i:] for i in inner}
    return slips


_ALIKE = "import tokes form forms diary rally flies three filers polices waning warring waring trail trial"
_HONEST = WORDS | frozenset(_ALIKE.split())
"""Words that are right as they are."""
SLIPS = {
    slip: word
    for word in sorted(ORDERS | STRONG, key=len)
    if len(word) >= SHORTEST
    for slip in _slips(word)
    if slip not in _HONEST
}
"""Every misspelling that is mended, and the word it is of."""

TYPOS = rf"(?i){WORD_STARTS}(?:{'|'.join(sorted(SLIPS))})(?:$|[^A-Za-z])"

_word = re.compile(r"[A-Za-z]{5,20}")


def typos(text: str) -> list[Piece]:
    """The stretches with such words, which are mended there."""
    pieces = []
    for start, end in windows(TYPOS, text):
        piece = Piece(text)
        at = start
        for match in _word.finditer(text, start, end):
            meant = SLIPS.get(match[0].lower())
            if meant is not None:
                piece.keep(at, match.start())
                at = match.end()
                piece.put(meant, match.start(), at)
        piece.keep(at, end)
        pieces.append(piece)
    return pieces
