"""One way to see one kind: a pattern that RE2 asks of the whole text, and a reader of the few places it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.context import GAP, named, words

Reader = Callable[[str, int, int], Iterable[Hit]]
"""The text, and the start and end of what the pattern matched."""

CERTAIN = 1.0
"""A strong checksum or a form that nothing else has."""
LIKELY = 0.85
"""A weak checksum or a plain form, with a word that says so; or a form that little else has."""
POSSIBLE = 0.6
"""Nothing but a form that other things may have."""


class Kind(NamedTuple):
    """`doc` is one line for documentation; `locale` is a country's code, or empty for what belongs to none."""

    doc: str
    locale: str = ""


class Rule(NamedTuple):
    """`pattern` is for RE2, its matches are bounded, and `read` says what of them holds."""

    kind: str
    pattern: str
    read: Reader


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


def apart(text: str, start: int, end: int) -> bool:
    """Whether it stands for itself: is no part of a decimal, a version, a UUID or another longer run."""
    if start > 1 and text[start - 1] in ".-:/" and text[start - 2].isalnum():
        return False
    return not (end + 1 < len(text) and text[end] in ".-:" and text[end + 1].isalnum())


def rules_of(number: Number) -> list[Rule]:
    """With a word before it, and where it has such a form, without."""
    rules = []
    if number.words:
        pattern = rf"(?i:{number.words}){GAP}\b(?:{number.shape})\b"
        rules.append(Rule(number.kind, pattern, _named_reader(number)))
    if number.alone:
        rules.append(Rule(number.kind, rf"\b(?:{number.alone})\b", _lone_reader(number)))
    return rules


def _named_reader(number: Number) -> Reader:
    shape = re.compile(rf"\b(?:{number.shape})\b", re.ASCII)
    # `tax_id` and `id_code` name what they end in, unlike the `id` of something else.
    pattern = words(rf"(?:{number.words})(?:[_ -]?(?:id|code|ref)(?![A-Za-z]))?")

    def read(text: str, start: int, end: int) -> Iterable[Hit]:
        for match in shape.finditer(text, start, end):
            if named(text, match.start(), pattern) and number.check(compact(match.group())):
                yield Hit(number.kind, *match.span(), LIKELY, "named and checked")

    return read


def _lone_reader(number: Number) -> Reader:
    def read(text: str, start: int, end: int) -> Iterable[Hit]:
        if apart(text, start, end) and number.check(compact(text[start:end])):
            yield Hit(number.kind, start, end, CERTAIN, "checked")

    return read
