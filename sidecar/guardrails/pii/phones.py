"""Telephone numbers, which look like every other number.

With a plus sign, brackets or the groups of a national form the form is enough, checked against the numbering plans
where it is international or begins with a trunk zero. A bare run of digits, or odd groups, count only beside a
word like phone. The library of numbering plans is 5 MB and 36 ms: it is imported when the first such number is seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.context import GAP, named, words
from sidecar.guardrails.pii.numbering import possible, valid
from sidecar.guardrails.pii.rule import CERTAIN, LIKELY, POSSIBLE, Kind, Rule

KINDS: Final = {
    "PHONE": Kind("Telephone number: international, in a national form, or beside a word like phone.")
}

_STRONG: Final = (
    r"phone|t[eé]l[eé]fon|\bt[eé]l\b|mobile|\bmob\b|mobil\b|m[oó]vil|cell|\bfax|whatsapp|telegram"
    r"|msisdn|\bsms\b|handy|rufnummer|portable|celular|hotline|\bgsm\b|电话|電話|전화"
    r"|(?:desk|office|home|work|direct|main|switchboard)\s?:"
)
_WEAK: Final = (
    r"\bcall(?:ed|ing)?\b|contact|kontakt|\breach\b|\bring\b|\bdial\b|\btext(?:ed)?\b"
    r"|appel|llam|chiam|anrufen"
)
_EXT: Final = r"(?: ?(?:x|ext\.?|#) ?\d{1,6})?"
_NUMBER: Final = r"\+?\(?\d[\d().\-/ ]{5,22}\d" + _EXT
_TRAIL: Final = r"(?i:fax|mobile|cell|office|home|work|phone|tel|desk)"

_STRONG_WORDS: Final = words(_STRONG)
_WEAK_WORDS: Final = words(_WEAK)
_SHAPE: Final = re.compile(_NUMBER, re.ASCII)
_TAIL: Final = re.compile(rf"[ \t(,]{{0,3}}{_TRAIL}\b")
_NEXT: Final = re.compile(rf"(?:\x1f|\s?[,;/|]\s?|\s(?:or|and|und|et|y|e|o)\s)({_NUMBER})(?![\w])", re.ASCII)
_EXTENSION: Final = re.compile(r" ?(?:x|ext\.?|#) ?\d{1,6}$")
_NO_PHONE: Final = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}$|(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d"
)
_RUNS: Final = re.compile(r"\d+")
_LISTED: Final = 16


def _digits(value: str) -> str:
    return "".join(_RUNS.findall(_EXTENSION.sub("", value)))


def _plain(value: str) -> bool:
    """7 to 15 digits (E.164), balanced brackets, neither a date nor an IPv4 address."""
    return (
        7 <= len(_digits(value)) <= 15 and value.count("(") == value.count(")") and not _NO_PHONE.match(value)
    )


def _whole(text: str, start: int, end: int) -> bool:
    """No part of a longer run, a decimal, a range or a path."""
    before = text[start - 1] if start else " "
    if before.isalnum() or before in "_+=/" or (before in ".-:" and text[start - 2 : start - 1].isalnum()):
        return False
    after = text[end : end + 1]
    return not (
        after.isalnum()
        or after == "_"
        or (after in (".", "-", ":", "/") and text[end + 1 : end + 2].isalnum())
    )


def _read_plus(text: str, start: int, end: int) -> Iterable[Hit]:
    start = text.index("+", start, end)
    value = text[start:end]
    if _plain(value) and not text[end : end + 1].isalnum() and possible(value):
        yield Hit("PHONE", start, end, CERTAIN, "international")


def _read_double_zero(text: str, start: int, end: int) -> Iterable[Hit]:
    value = text[start:end]
    if _whole(text, start, end) and _plain(value) and possible("+" + _digits(value)[2:]):
        yield Hit("PHONE", start, end, LIKELY, "international, 00")


def _read_grouped(text: str, start: int, end: int) -> Iterable[Hit]:
    if _whole(text, start, end) and _plain(text[start:end]):
        yield Hit("PHONE", start, end, LIKELY, "national form")


def _trunk_reader(regions: tuple[str, ...]) -> Callable[[str, int, int], Iterable[Hit]]:
    def read(text: str, start: int, end: int) -> Iterable[Hit]:
        value = text[start:end]
        if not _whole(text, start, end) or not 9 <= len(_digits(value)) <= 12 or not _plain(value):
            return
        signs = {character for character in value if not character.isdigit()} - {"(", ")"}
        if len(signs) <= 1 + ("(" in value or "/" in value) and valid(_digits(value), regions):
            yield Hit("PHONE", start, end, POSSIBLE, "national form, trunk zero")

    return read


def _read_named(text: str, start: int, end: int) -> Iterator[Hit]:
    for match in _SHAPE.finditer(text, start, min(len(text), end + 8)):
        if match.end() < end:
            continue
        begin, stop = match.span()
        value = match.group()
        count = len(_digits(value))
        if not _plain(value) or text[stop : stop + 1].isalnum() or (begin and text[begin - 1].isalnum()):
            return
        if named(text, begin, _STRONG_WORDS) or (count >= 9 and named(text, begin, _WEAK_WORDS, 4)):
            yield Hit("PHONE", begin, stop, LIKELY, "named")
            yield from _listed(text, stop, count)
        return


def _listed(text: str, position: int, count: int) -> Iterator[Hit]:
    """More numbers of about the same length after one that is named: `phones: [...]`."""
    for _ in range(_LISTED):
        match = _NEXT.match(text, position)
        if match is None or not _plain(match[1]) or abs(len(_digits(match[1])) - count) > 2:
            return
        yield Hit("PHONE", *match.span(1), POSSIBLE, "in a list of named ones")
        position = match.end()


def _read_trailed(text: str, start: int, end: int) -> Iterable[Hit]:
    match = _SHAPE.match(text, start, end)
    if (
        match
        and _TAIL.match(text, match.end())
        and _plain(match.group())
        and _whole(text, start, match.end())
    ):
        yield Hit("PHONE", start, match.end(), LIKELY, "named after it")


def rules(regions: tuple[str, ...]) -> list[Rule]:
    """`regions`: countries whose national forms with a trunk zero are believed without a word."""
    separated = r"\d{1,5}(?:[ .\-/]\d{2,8}){1,5}"
    return [
        Rule("PHONE", r"(?:^|[^0-9A-Za-z+=/])\+[1-9][\d().\-/ ]{5,24}\d" + _EXT, _read_plus),
        Rule("PHONE", r"\b00[1-9]\d{0,2}[ .-][\d().\- ]{5,20}\d" + _EXT, _read_double_zero),
        Rule(
            "PHONE",
            r"\([2-9]\d{2}\)[ -]?\d{3}[-. ]\d{4}"
            + _EXT
            + r"|\b(?:1[-. ])?[2-9]\d{2}(?:-\d{3}-|\.\d{3}\.| \d{3} |-\d{3} )\d{4}"
            + _EXT
            + r"|\(\d{2}\) ?9?\d{4}-\d{4}\b",
            _read_grouped,
        ),
        Rule("PHONE", rf"\b0{separated}\b|\(0\d{{1,5}}\) ?\d[\d \-/]{{3,11}}\d\b", _trunk_reader(regions)),
        Rule("PHONE", rf"(?i:{_STRONG}|{_WEAK}){GAP}{_NUMBER}", _read_named),
        Rule("PHONE", rf"\(?\b\d[\d(). \-]{{5,20}}\d[ \t(,]{{0,3}}{_TRAIL}\b", _read_trailed),
    ]
