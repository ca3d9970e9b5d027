"""Masking in text that comes in pieces: the same as for the whole, however it is divided.

What may still be the beginning of something is held back, at most `hold` characters as a rule; all else passes at
once. What a finder is given begins up to `hold` characters before what has not passed, so that it sees words
around a value, and begins between words where it can.

What `hold` means: a value of at most `hold` characters is masked as in the whole text. A longer one that the
finder knows by its first `hold` characters is kept back until it ends, at most twice `hold`; then it is masked
as far as it has come, and everything up to the next white space goes with it (`swallowed`), found or not. One
that cannot be known by any `hold` characters of it is not found, as it would not be if it were sent in two
messages.

Who cannot wait calls `release`: what is held passes then, without what can be found in it so far. What comes
later is still looked at together with it; the rest of a value that was divided so is masked and counted
(`split`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

STEP: Final = 64
"""Characters that have to be ready before they are looked at where a fixed number is held back: they are looked at
together with what is around them, and that must not happen for each one."""

_WHITE = " \t\r\n\f\v"
_JOINS: Final = frozenset(
    [
        "bearer",
        "basic",
        "token",
        "key",
        "password",
        "passwd",
        "secret",
        "is",
        "iban",
        "ssn",
        "pin",
        "tel",
        "phone",
    ]
)
"""Words that belong to the value after them."""
_OPENERS: Final = ":=(+,-/#\"'"


class Span(NamedTuple):
    """What was found, in code points."""

    start: int
    end: int
    kind: str


Examine = Callable[[str], Sequence[Span]]
Mask = Callable[[str, str], str]
Opens = Callable[[str, int], int]


def last_phrase(text: str, hold: int) -> int:
    """Where what the end of `text` may still grow into begins: the last word, and the words before it that
    belong to it as the groups of a card number do, or a name before its value; or a private key that has begun.
    The length of the text where nothing has begun.

    The rule for finders of values in text; one that finds sentences holds back a fixed number instead.
    """
    least = max(0, len(text) - hold)
    begin = _word_start(text, len(text), least)
    if begin == len(text):
        # White space at the end belongs to the word before it, if that goes on.
        before = len(text.rstrip(" \t"))
        start = _word_start(text, before, least)
        if len(text) - before > 4 or not _goes_on(text[start:before]):
            return _key_start(text, len(text), least)
        begin = start
    while begin > least:
        before = begin
        while before > least and text[before - 1] in " \t":
            before -= 1
        start = _word_start(text, before, least)
        if begin - before > 4 or start == before or not _goes_on(text[start:before]):
            break
        begin = start
    return _key_start(text, begin, least)


def _word_start(text: str, end: int, least: int) -> int:
    return max(least, *(text.rfind(white, least, end) + 1 for white in _WHITE))


def _goes_on(word: str) -> bool:
    return (
        word[-1:] in _OPENERS
        or word.lower() in _JOINS
        or any(character.isdigit() for character in word)
        or (len(word) <= 8 and word.isupper())
    )


def _key_start(text: str, begin: int, least: int) -> int:
    key = text.rfind("-----BEGIN", least)
    return min(begin, key) if key >= 0 and "-----END" not in text[key:] else begin


def fixed(text: str, hold: int) -> int:
    """Holds back `hold` characters whatever they are: for any finder whose matches are no longer."""
    return max(0, len(text) - hold)


class MaskedText:
    """One stream. `examine` finds, `mask` gives what stands for a value of a kind; `opens` says what to hold
    back."""

    __slots__ = (
        "_cut",
        "_examine",
        "_hold",
        "_mask",
        "_opens",
        "_sent",
        "_swallows",
        "_text",
        "split",
        "swallowed",
    )

    def __init__(self, examine: Examine, mask: Mask, hold: int = 512, opens: Opens = last_phrase) -> None:
        self._examine = examine
        self._mask = mask
        self._hold = hold
        self._opens = opens
        self._text = ""
        self._sent = 0
        self._cut = False
        self._swallows = False
        self.split = 0
        """Values of which a part had passed before they were found."""
        self.swallowed = 0
        """Characters that went with a value that was too long."""

    @property
    def held(self) -> int:
        """Characters that wait."""
        return len(self._text) - self._sent

    def feed(self, text: str) -> str:
        """What may pass now."""
        if self._swallows:
            text = self._swallow(text)
        if not text:
            return ""
        self._text += text
        size = len(self._text)
        limit = max(self._opens(self._text, self._hold), size - self._hold)
        if limit <= self._sent or (
            size < self._sent + 2 * self._hold and limit < size and self._small(limit)
        ):
            return ""
        return self._pass(limit)

    def release(self) -> str:
        """All that is held, because it has waited long enough. The stream goes on."""
        return self._pass(len(self._text)) if self.held else ""

    def end(self) -> str:
        """All that is held; nothing comes after it."""
        rest = self.release()
        self._text, self._sent, self._cut, self._swallows = "", 0, False, False
        return rest

    def _small(self, limit: int) -> bool:
        """Whether too little is ready, where it is always the same that waits."""
        return self._opens is fixed and limit - self._sent < STEP

    def _swallow(self, text: str) -> str:
        rest = next((place for place, character in enumerate(text) if character in _WHITE), len(text))
        self.swallowed += rest
        self._swallows = rest == len(text)
        return text[rest:]

    def _pass(self, limit: int) -> str:
        spans = [
            span for span in joined(self._examine(self._text)) if span.end > self._sent and self._true(span)
        ]
        size = len(self._text)
        for span in spans:
            if span.start < limit < span.end:
                if size - span.start <= 2 * self._hold:
                    limit = max(span.start, self._sent)
                else:
                    limit = span.end
                    self._swallows = span.end == size
        parts: list[str] = []
        place = self._sent
        for span in spans:
            if span.start < limit:
                start = max(span.start, self._sent)
                self.split += span.start < self._sent
                parts += (self._text[place:start], self._mask(span.kind, self._text[start : span.end]))
                place = span.end
        parts.append(self._text[place:limit])
        self._forget(limit, spans)
        return "".join(parts)

    def _true(self, span: Span) -> bool:
        """Not what seems to begin where what is remembered begins in the middle of a word."""
        return span.start > 0 or not self._cut or self._text[0] in _WHITE

    def _forget(self, limit: int, spans: Iterable[Span]) -> None:
        """Keep `hold` characters of what has passed; begin where a word does, and never within what was found."""
        if self._swallows:
            self._text, self._sent, self._cut = "", 0, True
            return
        begin = max(0, limit - self._hold)
        if begin:
            found = [place for white in _WHITE if (place := self._text.find(white, begin, limit)) >= 0]
            begin = min(found, default=begin)
        for span in spans:
            if span.start < begin < span.end <= limit:
                begin = span.end
        self._cut = self._cut or begin > 0
        self._text = self._text[begin:]
        self._sent = limit - begin


def joined(spans: Iterable[Span]) -> list[Span]:
    """From left to right, those that overlap made one, which is called what the longest of them is."""
    found: list[Span] = []
    longest = 0
    for span in sorted(spans):
        size = span.end - span.start
        if size <= 0:
            continue
        if not found or span.start >= found[-1].end:
            found.append(span)
            longest = size
            continue
        before = found[-1]
        kind = span.kind if size > longest else before.kind
        longest = max(size, longest)
        found[-1] = Span(before.start, max(before.end, span.end), kind)
    return found
