"""Numbers that are believed only beside a word, all asked for at once.

RE2 looks for any of the words and the next number after it. That is one pattern for all such kinds: with one each,
a text of many words in ever new orders would make the automaton of the set build new states without end. What
the words mean, and whether the number agrees, is read here for the few places that are found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.context import REACH, WINDOW, joined, spelled, words
from sidecar.guardrails.re2_set import Patterns

_AHEAD: Final = 14
"""Characters of a value before its first digits, at most: a month, the letters of a passport."""
_BEHIND: Final = 48
_MONTH: Final = "(?i:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])"
NUMBER: Final = (
    r"(?:(?:\d[ .\-/()]{0,2}){4}\d|\d{4}[A-Z]|\d[A-Z][A-Z0-9]\d"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.|,)? (?:{_MONTH}|\d{{4}}))"
)
"""Where any of these numbers has its first digits."""
_SUFFIX: Final = re.compile(r"[_ -]?(?:id|code|ref)(?![A-Za-z])", re.IGNORECASE)
_INDEX: Final = re.compile(r"[ _#-]{0,2}\d(?=[\x1f\"':)=]| \()", re.ASCII)
_NUMBER: Final = re.compile(NUMBER, re.ASCII)


class Name(NamedTuple):
    """`words` (alternatives, lower case), the shape of what they name, and who reads it: given the text, the start
    and the end of the shape. `of_id`: `x_id` still names x."""

    words: str
    shape: re.Pattern[str]
    read: Callable[[str, int, int], Iterable[Hit]]
    reach: int = REACH
    of_id: bool = True


class Names:
    """All of them as one pattern for RE2 and one reader."""

    __slots__ = ("_names", "_words", "pattern")

    def __init__(self, names: Sequence[Name]) -> None:
        alternatives = "|".join(f"(?:{spelled(name.words)})" for name in names)
        self.pattern = rf"(?i:{alternatives})(?:[ _#-]{{0,2}}\d)?[^0-9\x1f]*(?:\x1f[^0-9\x1f]*)?{NUMBER}"
        self._words = Patterns([("word", rf"(?i:{alternatives})")])
        self._names = [(words(name.words), name) for name in names]

    def read(self, text: str, start: int, end: int) -> Iterable[Hit]:
        """The hits of the nearest word that has any."""
        begin = max(start, end - WINDOW - _AHEAD)
        found = [begin + at for _, at, _ in self._words.find(text[begin:end])]
        for at in reversed(found):
            hits = list(self._read_from(text, at, end))
            if hits:
                return hits
        return ()

    def _read_from(self, text: str, start: int, end: int) -> Iterator[Hit]:
        for pattern, name in self._names:
            word = pattern.match(text, start)
            if word is None:
                continue
            after = _after(text, word.end(), name)
            digits = _NUMBER.search(text, after, end)
            if digits is None:
                continue
            place = digits.start()
            for match in name.shape.finditer(text, max(after, place - _AHEAD), place + _BEHIND):
                if match.start() <= place < match.end():
                    if joined(text, after, match.start(), name.reach):
                        yield from name.read(text, *match.span())
                    break


def _after(text: str, end: int, name: Name) -> int:
    """Where the word ends, with `_id` and the number that one of several fields may bear."""
    for pattern in (_SUFFIX, _INDEX) if name.of_id else (_INDEX,):
        match = pattern.match(text, end)
        if match is not None:
            end = match.end()
    return end
