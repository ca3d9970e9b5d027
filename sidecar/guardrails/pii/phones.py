"""Telephone numbers, which look like every other number.

With a plus sign, brackets or the groups of a national form the form is enough, checked against the numbering plans
where it is international or begins with a trunk zero. A bare run of digits, or odd groups, count only beside a
word like phone. The library of numbering plans takes 5 MB and 36 ms: it is imported when the first such number is
seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.naming import Name
from sidecar.guardrails.pii.numbering import possible, valid
from sidecar.guardrails.pii.rule import CERTAIN, FORMED, LIKELY, POSSIBLE, Kind, Reader, Rule

KINDS: Final = {
    "PHONE": Kind("Telephone number: international, in a national form, or beside a word like phone.")
}

_STRONG: Final = (
    r"phone|t[eé]l[eé]fon|\bt[eé]l\b|mobile|\bmob\b|mobil\b|m[oó]vil|\bcell(?:\b|phone|ul)|\bfax|whatsapp|telegram"
    r"|msisdn|\bsms\b|\bhandy\b|rufnummer|portable|celular|hotline|\bgsm\b|电话|電話|전화"
    r"|(?:desk|office|home|work|direct|main|switchboard)\s?:"
)
_WEAK: Final = (
    r"\bcall(?:ed|ing)?\b|contact|kontakt|\breach\b|\bring\b|\bdial\b|\btext(?:ed)?\b"
    r"|appel|llam|chiam|anrufen"
)
_EXT: Final = r"(?: ?(?:x|ext\.?|#) ?\d{1,6})?"
_NUMBER: Final = r"\+?\(?\d[\d().\-/ ]{5,22}\d" + _EXT
_TRAIL: Final = r"(?i:fax|mobile|\bcell(?:\b|phone|ul)|office|home|work|phone|tel|desk)"

_SHAPE: Final = re.compile(_NUMBER, re.ASCII)
_BEFORE: Final = re.compile(r"(?<![\w.+:/-])\(?\d[\d(). \-]{5,20}\d$", re.ASCII)
_INTERNATIONAL: Final = re.compile(r"\+[1-9][\d().\-/ ]{5,24}\d" + _EXT, re.ASCII)
_TRUNK: Final = re.compile(
    r"(?:0\d{1,5}(?:[ .\-/]\d{2,8}){1,5}|\(0\d{1,5}\) ?\d[\d \-/]{3,11}\d)\b", re.ASCII
)
_EXTENDED: Final = re.compile(r" ?(?:x|ext\.?|#) ?\d{1,6}\b", re.ASCII)
_NEXT: Final = re.compile(
    rf"(?:\x1f|\s?[,;/|]\s?|\s(?:(?:or|and|und|et|y|e|o)\s)?)({_NUMBER})(?![\w])", re.ASCII
)
_EXTENSION: Final = re.compile(r" ?(?:x|ext\.?|#) ?\d{1,6}$")
_NO_PHONE: Final = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}$|(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d"
)
_INSIDE: Final = re.compile(r"[\w+=]$|\w[.\-/]$|\d:$")
_GOES_ON: Final = re.compile(r"\w|[.:]\d|[\-/]\w")
_RUNS: Final = re.compile(r"\d+")
_TRIMS: Final = 4


def _digits(value: str) -> str:
    return "".join(_RUNS.findall(_EXTENSION.sub("", value)))


def _plain(value: str) -> bool:
    """7 to 15 digits (E.164), balanced brackets, neither a date nor an IPv4 address."""
    return (
        7 <= len(_digits(value)) <= 15 and value.count("(") == value.count(")") and not _NO_PHONE.match(value)
    )


def _whole(text: str, start: int, end: int) -> bool:
    """No part of a longer run, a decimal, a range or a path."""
    return not (_INSIDE.search(text, max(0, start - 2), start) or _GOES_ON.match(text, end))


def _any(_: str) -> bool:
    return True


def _readings(value: str) -> Iterator[str]:
    """The value, then without its last groups: what follows a number may look like one more group of it."""
    for _ in range(_TRIMS):
        if _plain(value):
            yield value
        value, space, _rest = value.rpartition(" ")
        if not space:
            return
        value = value.rstrip(" (-./")


def _plus_reader(known: Callable[[str], bool]) -> Reader:
    def read(text: str, start: int, end: int) -> Iterable[Hit]:
        start = text.index("+", start, end)
        number = _INTERNATIONAL.match(text, start)
        if number is None or text[number.end() : number.end() + 1].isalnum():
            return
        for value in _readings(number.group()):
            if known(value):
                yield Hit("PHONE", start, start + len(value), CERTAIN, "international")
                return

    return read


def _double_zero_reader(known: Callable[[str], bool]) -> Reader:
    def read(text: str, start: int, end: int) -> Iterable[Hit]:
        number = _SHAPE.match(text, start)
        if number is None or not _whole(text, start, number.end()):
            return
        for value in _readings(number.group()):
            if known("+" + _digits(value)[2:]):
                yield Hit("PHONE", start, start + len(value), LIKELY, "international, 00")
                return

    return read


def _read_grouped(text: str, start: int, end: int) -> Iterable[Hit]:
    if text[start - 2 : start] in ("1-", "1.", "1 ") and not text[start - 3 : start - 2].isalnum():
        start -= 2
    extension = _EXTENDED.match(text, end)
    end = extension.end() if extension else end
    if _whole(text, start, end):
        yield Hit("PHONE", start, end, FORMED, "national form")


def _trunk_reader(known: Callable[[str], bool]) -> Reader:
    def read(text: str, start: int, end: int) -> Iterable[Hit]:
        number = _TRUNK.match(text, start) or _TRUNK.match(text, start + 1)
        if number is None:
            return
        value, start, end = number.group(), *number.span()
        if not _whole(text, start, end) or not 9 <= len(_digits(value)) <= 12 or not _plain(value):
            return
        signs = {character for character in value if not character.isdigit()} - {"(", ")"}
        if len(signs) <= 1 + ("(" in value or "/" in value) and known(_digits(value)):
            yield Hit("PHONE", start, end, POSSIBLE, "national form, trunk zero")

    return read


def _named_reader(bare: int) -> Reader:
    """`bare`: the least number of digits in a single run."""

    def read(text: str, start: int, end: int) -> Iterator[Hit]:
        if text[end : end + 1].isalnum() or (start and text[start - 1].isalnum()):
            return
        value = next(_readings(text[start:end]), "")
        count = len(_digits(value))
        if count >= bare or (count and not value.isdigit()):
            yield Hit("PHONE", start, start + len(value), LIKELY, "named")
            yield from _listed(text, start + len(value), count)

    return read


def _listed(text: str, position: int, count: int) -> Iterator[Hit]:
    """More numbers of about the same length after one that is named: `phones: [...]`."""
    while match := _NEXT.match(text, position):
        value = next(_readings(match[1]), "")
        if abs(len(_digits(value)) - count) > 2:
            return
        position = match.start(1) + len(value)
        yield Hit("PHONE", match.start(1), position, POSSIBLE, "in a list of named ones")


def _read_trailed(text: str, start: int, end: int) -> Iterable[Hit]:
    match = _BEFORE.search(text, max(0, start - 25), start + 2)
    if match is not None and _plain(match.group()):
        yield Hit("PHONE", *match.span(), LIKELY, "named after it")


NAMES: Final = (
    ("PHONE", Name(_STRONG, _SHAPE, _named_reader(7), of_id=False)),
    ("PHONE", Name(_WEAK, _SHAPE, _named_reader(9), reach=16, of_id=False)),
)


def rules(regions: tuple[str, ...]) -> list[Rule]:
    """`regions`: countries whose national forms with a trunk zero are believed without a word.

    The patterns for RE2 see how a number begins, or ends, and no more: long ones keep the automaton busy with all
    the ways in which a row of digits may be divided.
    """

    def known(digits: str) -> bool:
        return valid(digits, regions)

    return [
        Rule(
            "PHONE",
            r"(?:^|[^0-9A-Za-z+=/])\+[1-9](?:[().\-/ ]{0,3}\d){6}",
            _plus_reader(possible),
            _plus_reader(_any),
        ),
        Rule(
            "PHONE",
            r"\b00[1-9]\d{0,2}[ .-](?:[().\- ]{0,3}\d){6}",
            _double_zero_reader(possible),
            _double_zero_reader(_any),
        ),
        Rule(
            "PHONE",
            r"(?:^|[^0-9A-Za-z_:.])0\d{1,5}[ .\-/](?:\d[ .\-/]?){5}|\(0\d{1,5}\) ?(?:\d[ \-/]?){4}",
            _trunk_reader(known),
            _trunk_reader(_any),
        ),
        Rule(
            "PHONE",
            r"\([2-9]\d{2}\)[ -]?\d{3}[-. ]\d{4}|\b[2-9]\d{2}(?:-\d{3}-|\.\d{3}\.| \d{3} |-\d{3} )\d{4}"
            r"|\(\d{2}\) ?9?\d{4}-\d{4}\b",
            _read_grouped,
        ),
        Rule("PHONE", rf"\d\d[ \t(,-]{{1,3}}{_TRAIL}\b", _read_trailed),
    ]
