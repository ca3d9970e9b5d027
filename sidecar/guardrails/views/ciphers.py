"""Texts that are turned letter by letter: rot13, rot47, atbash, and read from the end.

They look like any other text. What gives them away is a common word in its turned form; so only English is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sidecar.guardrails.views.scan import WORD_STARTS, windows
from sidecar.guardrails.views.view import BACKWARDS, Piece

_ENGLISH = """
the your ignore ignoring previous previously instructions instruction prompt system reveal forget
disregard delete secret secrets password passwords everything override bypass send print hidden files
rules directions prior above about please follow these this with from have what which must should would
all and you are
"""
_SIGNS = _ENGLISH.split()

_upper, _lower = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_rot13 = str.maketrans(_upper + _lower, _upper[13:] + _upper[:13] + _lower[13:] + _lower[:13])
_atbash = str.maketrans(_upper + _lower, _upper[::-1] + _lower[::-1])
_rot47 = {code: 33 + (code - 33 + 47) % 94 for code in range(33, 127)}


def _gate(turn: Callable[[str], str], honest: str) -> str:
    """A pattern of the turned signs as words of their own, without those that are honest words too."""
    turned = {turn(word) for word in _SIGNS} - set(honest.split())
    return rf"(?i){WORD_STARTS}(?:{'|'.join(sorted(map(re.escape, turned)))})(?:$|[^A-Za-z0-9])"


ROT13 = _gate(lambda word: word.translate(_rot13), "nyy ner")
ATBASH = _gate(lambda word: word.translate(_atbash), "zoo ziv zmw")
REVERSED = _gate(lambda word: word[::-1], "dna era lla siht")
ROT47 = r"(?:^|\s)(?:{})(?:$|[\s,.!?])".format(
    "|".join(
        sorted(
            re.escape(word.translate(_rot47))
            for sign in _SIGNS
            for word in (sign, sign.capitalize())
            if len(sign) > 3
        )
    )
)

_words = re.compile(r"[^\s\x1f]+")


def rot13(text: str) -> list[Piece]:
    return _turned(text, ROT13, _rot13)


def atbash(text: str) -> list[Piece]:
    return _turned(text, ATBASH, _atbash)


def rot47(text: str) -> list[Piece]:
    return _turned(text, ROT47, _rot47)


def _turned(text: str, gate: str, table: dict[int, int]) -> list[Piece]:
    pieces = []
    for start, end in windows(gate, text):
        piece = Piece(text)
        piece.put(text[start:end].translate(table), start, end, 1)
        pieces.append(piece)
    return pieces


def reversed_text(text: str) -> list[Piece]:
    """The stretches from their end, and each of their words from its end. The separators stay what they are."""
    pieces = []
    for start, end in windows(REVERSED, text):
        piece = Piece(text)
        leaves = _leaves(text, start, end)
        for low, high in leaves:
            if low > start:
                piece.keep(low - 1, low)
            piece.put(text[low:high][::-1], low, high, BACKWARDS)
        pieces.append(piece)
        piece = Piece(text)
        at = start
        for match in _words.finditer(text, start, end):
            piece.keep(at, match.start())
            at = match.end()
            piece.put(match[0][::-1], match.start(), at, BACKWARDS)
        piece.keep(at, end)
        pieces.append(piece)
    return pieces


def _leaves(text: str, start: int, end: int) -> list[tuple[int, int]]:
    leaves = []
    for leaf in text[start:end].split("\x1f"):
        leaves.append((start, start + len(leaf)))
        start += len(leaf) + 1
    return leaves
