"""One way to see one kind: a pattern that RE2 asks of the whole text, and a reader of the few places it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.naming import Name

Reader = Callable[[str, int, int], Iterable[Hit]]
"""The text, and the start and end of what the pattern matched."""

CERTAIN = 1.0
"""A strong checksum or a form that nothing else has."""
LIKELY = 0.85
"""A weak checksum or a plain form, with a word that says so; or a form that little else has."""
FORMED = 0.75
"""A form that little else has, and neither a checksum nor a word."""
POSSIBLE = 0.6
"""Nothing but a form that other things may have."""


class Kind(NamedTuple):
    """`doc` is one line for documentation; `locale` is a country's code, or empty for what belongs to none."""

    doc: str
    locale: str = ""


class Rule(NamedTuple):
    """`pattern` is for RE2, and `read` says what of its matches holds. `hurried` reads those past the first few
    hundred of one text, where `read` takes long: it knows less, and takes more for found."""

    kind: str
    pattern: str
    read: Reader
    hurried: Reader | None = None


class Number(NamedTuple):
    """A number with a form, a check and words that name it.

    `shape` is read by RE2 and by re, has no groups, and stands between word boundaries. `alone` is the form, if
    any, in which it needs no word. `check` is given it in capitals, without spaces, dots, hyphens and slashes.
    """

    kind: str
    locale: str
    doc: str
    words: str
    shape: str
    check: Callable[[str], bool]
    alone: str = ""


_BETWEEN = str.maketrans("", "", " .-/\u00a0")


def compact(value: str) -> str:
    """The characters that count."""
    return value.translate(_BETWEEN).upper()


_TAIL_OF: Final = re.compile(r"(?:\d[.:/]|[0-9A-Fa-f]{4}-)$", re.ASCII)
_HEAD_OF: Final = re.compile(r"[.:/]\d|-[0-9A-Fa-f]{4}", re.ASCII)


def apart(text: str, start: int, end: int) -> bool:
    """Whether it stands for itself: is no part of a decimal, a version, a UUID or another longer run."""
    return not (_TAIL_OF.search(text, max(0, start - 5), start) or _HEAD_OF.match(text, end))


def name_of(number: Number) -> Name:
    """How it is read beside one of its words."""

    def read(text: str, start: int, end: int) -> Iterable[Hit]:
        if number.check(compact(text[start:end])):
            yield Hit(number.kind, start, end, LIKELY, "named and checked")

    return Name(number.words, re.compile(rf"\b(?:{number.shape})\b", re.ASCII), read)


def lone_rule(number: Number) -> Rule:
    """How it is read where no word is near."""
    return Rule(number.kind, rf"\b(?:{number.alone})\b", _lone_reader(number))


def _lone_reader(number: Number) -> Reader:
    def read(text: str, start: int, end: int) -> Iterable[Hit]:
        if apart(text, start, end) and number.check(compact(text[start:end])):
            yield Hit(number.kind, start, end, CERTAIN, "checked")

    return read
