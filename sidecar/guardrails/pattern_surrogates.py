"""Texts that a schema's pattern matches, made of the pattern and a number only.

Made of the masked value they would be found easily, and would say much of it. So the pattern is read as a row of
characters, each out of several: of an alternation the first, of a repetition the least and then some more. What is
not understood gives nothing. Nor does a pattern that leaves few texts: whoever writes it knows the value, or is
guessing at it.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Final, NamedTuple

_POOL: Final = string.digits + string.ascii_lowercase + string.ascii_uppercase + "-_.@/:+#, "
_WORD: Final = string.digits + string.ascii_lowercase
_MOST_SLOTS: Final = 512
_MOST_NESTED: Final = 16
_FEWEST: Final = 1000
"""Texts that a pattern has to leave."""
_EXTRA: Final = (0, 1, 2, 4, 8, 16, 32, 64)
_PAD: Final = 8
_CLASSES: Final = {
    "d": string.digits,
    "w": string.digits + string.ascii_letters + "_",
    "s": " ",
    "D": string.ascii_letters,
    "W": "-.@/ ",
    "S": string.digits + string.ascii_letters,
}
_NOTHING: Final = "bBAz"
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r"}


class NotUnderstood(Exception):
    """The pattern says more than is read here."""


class _Repeated(NamedTuple):
    """`items`, at least and at most so often; each a set of characters, or a repetition again."""

    items: list[str | _Repeated]
    least: int
    most: int


def samples(pattern: str, serial: int, least: int, most: int | None) -> Iterator[str]:
    """Texts of the lengths asked for, the same for the same number; whoever takes one sees whether it matches."""
    try:
        items = _Reader(pattern).all()
    except (NotUnderstood, IndexError, ValueError):
        return
    if not pattern.endswith("$"):
        items.append(_Repeated([_WORD], _PAD, _MOST_SLOTS))
    if not pattern.startswith("^"):
        items.insert(0, _Repeated([_WORD], _PAD, _MOST_SLOTS))
    size = -1
    for extra in _EXTRA:
        slots: list[str] = []
        _expand(_Repeated(items, 1, 1), extra, slots)
        if size == len(slots):
            return
        size = len(slots)
        if least <= size <= (_MOST_SLOTS if most is None else min(most, _MOST_SLOTS)):
            made = _numbered(slots, serial)
            if made is not None:
                yield made


def _numbered(slots: list[str], serial: int) -> str | None:
    """The text of that number; None where there are few."""
    many = 1
    chosen: list[str] = []
    for slot in reversed(slots):
        many = min(many * len(slot), _FEWEST)
        serial, place = divmod(serial, len(slot))
        chosen.append(slot[place])
    return "".join(reversed(chosen)) if many >= _FEWEST and not serial else None


def _expand(one: _Repeated, extra: int, slots: list[str]) -> None:
    for _ in range(min(one.least + extra, one.most) if one.most > one.least else one.least):
        for item in one.items:
            if len(slots) > _MOST_SLOTS:
                return
            if type(item) is str:
                slots.append(item)
            elif isinstance(item, _Repeated):
                _expand(item, extra, slots)


class _Reader:
    __slots__ = ("_at", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def all(self) -> list[str | _Repeated]:
        items = self._alternatives(0)
        if self._at < len(self._text):
            raise NotUnderstood
        return items

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self, nested: int) -> list[str | _Repeated]:
        """The first of them; the others are read and left out."""
        if nested > _MOST_NESTED:
            raise NotUnderstood
        first = self._row(nested)
        while self._text[self._at : self._at + 1] == "|":
            self._at += 1
            self._row(nested)
        return first

    def _row(self, nested: int) -> list[str | _Repeated]:
        items: list[str | _Repeated] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            item = self._item(nested)
            if item is not None:
                items.append(self._quantified(item))
        return items

    def _item(self, nested: int) -> str | _Repeated | None:
        character = self._next()
        if character in "^$":
            return None
        if character == "(":
            return self._group(nested)
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape() or None
        if character == ".":
            return _WORD
        if character in "*+?":
            raise NotUnderstood
        return character

    def _group(self, nested: int) -> _Repeated:
        if self._text.startswith("?", self._at):
            if self._text.startswith("?:", self._at):
                self._at += 2
            elif self._text.startswith(("?P<", "?<"), self._at):
                self._at = self._text.index(">", self._at) + 1
            else:
                raise NotUnderstood
        items = self._alternatives(nested + 1)
        if self._next() != ")":
            raise NotUnderstood
        return _Repeated(items, 1, 1)

    def _escape(self) -> str:
        character = self._next()
        if character in _NOTHING:
            return ""
        if character in _CLASSES:
            return _CLASSES[character]
        if character.isalnum():
            if character in _CONTROLS:
                return _CONTROLS[character]
            raise NotUnderstood
        return character

    def _class(self) -> str:
        negated = self._text.startswith("^", self._at)
        self._at += negated
        begin = self._at
        members: set[str] = set()
        while self._text[self._at] != "]" or self._at == begin:
            one = self._member()
            if self._text[self._at] == "-" and self._text[self._at + 1] != "]" and len(one) == 1:
                self._at += 1
                last = self._member()
                members.update(here for here in _POOL if one <= here <= last)
            else:
                members.update(one)
        self._at += 1
        found = "".join(one for one in _POOL if (one in members) is not negated)
        if not found:
            raise NotUnderstood
        return found

    def _member(self) -> str:
        character = self._next()
        if character == "[" and self._text.startswith(":", self._at):
            raise NotUnderstood
        return self._escape() if character == "\\" else character

    def _quantified(self, item: str | _Repeated) -> str | _Repeated:
        mark = self._text[self._at : self._at + 1]
        if mark == "{":
            least, most = self._counts()
        elif mark and mark in "*+?":
            self._at += 1
            least, most = {"*": (0, _MOST_SLOTS), "+": (1, _MOST_SLOTS), "?": (0, 1)}[mark]
        else:
            return item
        if self._text.startswith("?", self._at):
            self._at += 1
        return _Repeated([item], least, most)

    def _counts(self) -> tuple[int, int]:
        end = self._text.index("}", self._at)
        first, comma, last = self._text[self._at + 1 : end].partition(",")
        self._at = end + 1
        least = int(first)
        return min(least, _MOST_SLOTS), min(
            int(last) if last else _MOST_SLOTS if comma else least, _MOST_SLOTS
        )
