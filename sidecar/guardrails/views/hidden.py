"""Text that is written in characters which are not drawn: tags, variation selectors, zero widths."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sidecar.guardrails.views.judge import readable
from sidecar.guardrails.views.scan import foreign
from sidecar.guardrails.views.view import Piece

_tags = re.compile("[\U000e0020-\U000e007e]{2,}")
_selectors = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_zero_widths = re.compile("[\u200b\u200c\u200d\u2060\u2062\u2063\u2064\ufeff]{32,}")


def tags(text: str) -> list[Piece]:
    """Tag characters shadow ASCII at U+E0020 to U+E007E."""
    pieces = []
    for match in _unseen(_tags, text):
        piece = Piece(text)
        piece.put(
            "".join(chr(ord(character) - 0xE0000) for character in match[0]), match.start(), match.end(), 1
        )
        pieces.append(piece)
    return pieces


def selectors(text: str) -> list[Piece]:
    """Octets in variation selectors: 0 to 15 as U+FE00 to U+FE0F, 16 to 255 as U+E0100 to U+E01EF."""
    return _octets(text, _selectors, lambda run: bytes(_selector(character) for character in run))


def _selector(character: str) -> int:
    code = ord(character)
    return code - 0xFE00 if code < 0x10000 else code - 0xE0100 + 16


def zero_widths(text: str) -> list[Piece]:
    """Octets as bits in two characters of no width, either one for zero."""
    return _octets(text, _zero_widths, _bits)


def _bits(run: str) -> bytes:
    kinds = sorted(set(run))
    if len(kinds) != 2:
        return b""
    for zero, one in (kinds, kinds[::-1]):
        digits = run.replace(zero, "0").replace(one, "1")
        octets = (
            int(digits, 2).to_bytes((len(digits) + 7) // 8, "big") if len(digits) <= LONGEST_BITS else b""
        )
        if readable(octets):
            return octets
    return b""


LONGEST_BITS = 32768
"""Bits read from one run. Reading a number takes time that grows faster than its length."""


def _octets(text: str, runs: re.Pattern[str], octets: Callable[[str], bytes]) -> list[Piece]:
    pieces = []
    for match in _unseen(runs, text):
        shown = readable(octets(match[0]))
        if shown:
            piece = Piece(text)
            piece.put(shown, match.start(), match.end())
            pieces.append(piece)
    return pieces


def _unseen(runs: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    for low, high in foreign(text):
        yield from runs.finditer(text, low, high)
