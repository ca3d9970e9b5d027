"""Words that somebody listed, all at once: one automaton, however many there are.

Texts and words are compared in lower case as Unicode folds it, and taken apart (NFKD): a letter and its accent are
two characters on both sides. Folding may lengthen a text (ß becomes ss), so
what is found is led back to the code points that were given. A word is whole when no letter or digit continues it
on either side; scripts that are written without spaces have no such sides.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from typing import Final

import ahocorasick_rs

from mesh.policy.guardrails import DetectorKind, TermsOptions
from sidecar.guardrails.hit import SEPARATOR, Hit

MAX_TERMS: Final = 10_000
KINDS: Final[dict[str, str]] = {"TERM": "one of the words that the options list; the note is its index there"}
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x31FF),  # CJK radicals, kana, bopomofo
    (0x3400, 0x9FFF),  # CJK ideographs
    (0xF900, 0xFAFF),  # compatibility ideographs
    (0xFF66, 0xFF9F),  # half-width kana
    (0x20000, 0x3FFFF),  # the ideographic planes
)


def fold(text: str) -> str:
    """How words and texts are compared."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())


class TermsDetector:
    """Raises ValueError for more than MAX_TERMS words. Words that are empty, or hold SEPARATOR, match nothing."""

    __slots__ = ("_automaton", "_indices", "_whole")

    name: Final[str] = DetectorKind.TERMS

    def __init__(self, options: TermsOptions) -> None:
        if len(options.words) > MAX_TERMS:
            raise ValueError(f"at most {MAX_TERMS} words; divide them over several processors")
        first: dict[str, int] = {}
        for index, word in enumerate(options.words):
            folded = fold(word.strip())
            if folded and SEPARATOR not in folded:
                first.setdefault(folded, index)
        self._indices = list(first.values())
        self._whole = options.whole
        # Without regard to words the automaton itself takes the longest. Whole ones have to be asked for all that
        # overlap: a longer one that is not whole may hide a whole one. Only words within words cost more there.
        kind = ahocorasick_rs.MatchKind.Standard if self._whole else ahocorasick_rs.MatchKind.LeftmostLongest
        self._automaton = ahocorasick_rs.AhoCorasick(list(first), matchkind=kind) if first else None

    def scan(self, text: str) -> list[Hit]:
        """The words in `text`; of those that overlap the longest, and of equally long ones the first."""
        if self._automaton is None:
            return []
        folded, origins = (text.lower(), None) if text.isascii() else _folded(text)
        found = self._automaton.find_matches_as_indexes(folded, overlapping=self._whole)
        if not found:
            return []
        if self._whole:
            found = [one for one in found if _is_whole(folded, one[1], one[2])]
        return [self._hit(one, origins, len(text)) for one in _longest(found)]

    def _hit(self, found: tuple[int, int, int], origins: list[int] | None, length: int) -> Hit:
        term, start, end = found
        if origins is not None:
            # The end is where the character after the last one begins: half a ligature is all of it.
            last = origins[end - 1]
            start = origins[start]
            end = origins[bisect_right(origins, last)] if origins[-1] > last else length
        return Hit("TERM", start, end, 1.0, str(self._indices[term]))


def _folded(text: str) -> tuple[str, list[int] | None]:
    """The text folded, and for each character of that the place in `text` it came from (None: the same).

    Folding never shortens a character, so a text of the same length has changed one for one.
    """
    whole = fold(text)
    if len(whole) == len(text):
        return whole, None
    pieces = {character: fold(character) for character in set(text)}
    origins = [place for place, character in enumerate(text) for _ in pieces[character]]
    return "".join(map(pieces.__getitem__, text)), origins


def _is_whole(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (_joins(before, text[start]) or _joins(text[end - 1], after))


def _joins(left: str, right: str) -> bool:
    """Whether two neighbours are of one word."""
    if not left or not right or not (_wordlike(left) and _wordlike(right)):
        return False
    return not (_unspaced(left) or _unspaced(right))


def _wordlike(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def _unspaced(character: str) -> bool:
    point = ord(character)
    return point >= 0x0E00 and any(low <= point <= high for low, high in _UNSPACED)


def _longest(found: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Of matches that overlap the longest; then by place."""
    chosen: list[tuple[int, int, int]] = []
    for one in sorted(found, key=lambda each: (each[1], -each[2])):
        if chosen and one[1] < chosen[-1][2]:
            if one[2] - one[1] > chosen[-1][2] - chosen[-1][1]:
                chosen[-1] = one
        else:
            chosen.append(one)
    return chosen
