"""Digits and signs for letters: `1gn0r3 4ll pr3v10u5`.

Identifiers and digests mix letters and digits all the time, so what counts is a word of the lexicon written
with at least one digit or sign. The gate holds these spellings, all of them, in one automaton.
"""

from __future__ import annotations

import re

from sidecar.guardrails.views.lexicon import STRONG, WORDS
from sidecar.guardrails.views.scan import WORD_STARTS, windows
from sidecar.guardrails.views.view import Piece

_SIGNS = {
    "a": "4@",
    "b": "8",
    "c": "(",
    "e": "3",
    "g": "69",
    "i": "1!|",
    "l": "1|!",
    "o": "0",
    "s": "5$",
    "t": "7+",
    "z": "2",
}
"""Which digits and signs stand for a letter."""

_GATE_WORDS = sorted(word for word in STRONG if sum(letter in _SIGNS for letter in word) >= 2)


def _spellings(word: str) -> str:
    """A pattern of the word with at least one letter replaced."""
    pattern = ""
    for index in range(len(word) - 1, -1, -1):
        letter = word[index]
        signs = re.escape(_SIGNS.get(letter, "")).replace(r"\|", "|")
        rest = "".join(_either(letter) for letter in word[index + 1 :])
        options = [f"[{signs}]{rest}"] if signs else []
        if pattern:
            options.append(f"{letter}{pattern}")
        pattern = f"(?:{'|'.join(options)})" if options else ""
    return pattern


def _either(letter: str) -> str:
    signs = _SIGNS.get(letter)
    return f"[{letter}{re.escape(signs)}]" if signs else letter


LEET = rf"(?i){WORD_STARTS}(?:{'|'.join(map(_spellings, _GATE_WORDS))})(?:$|[^A-Za-z0-9])"

_CLASSES = str.maketrans("4@8(3691!|l05$7+2", "aabceggiiiiosstt" + "z")
_known = {word.translate(_CLASSES): word for word in sorted(WORDS, key=lambda word: (word in STRONG, word))}
_default = str.maketrans("01345789$|", "oieastbgsi")
_word = re.compile(r"[A-Za-z0-9@$!|+(][A-Za-z0-9@$!|+(']*")
_mark = re.compile(r"(?<=[A-Za-z0-9$|])!(?=[A-Za-z0-9$|])")


def leet(text: str) -> list[Piece]:
    """The stretches with such words, all of their mixed words read as letters, one for one."""
    pieces = []
    for start, end in windows(LEET, text):
        piece = Piece(text)
        piece.put(_word.sub(_read, text[start:end]), start, end, 1)
        pieces.append(piece)
    return pieces


def _read(match: re.Match[str]) -> str:
    token = match[0]
    if token.isalpha():
        return token
    bare = token.rstrip("!'")
    known = _known.get(bare.lower().translate(_CLASSES))
    if known is not None and (len(bare) > 1 or bare.isdigit()):
        return known + token[len(bare) :]
    if not any(map(str.isalpha, token)):
        return token
    return _mark.sub("i", token.translate(_default))
