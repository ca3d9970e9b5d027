"""What may stand in the place of a masked value, so that the place keeps its type and its form.

`<EMAIL_1>` says best what happened, and is used wherever anything may stand. Where a schema or a protocol wants an
address, a date or a number, one from a range that nobody uses stands there: `.invalid` (RFC 6761), year 1,
240.0.0.0/4 (RFC 1112), 100::/64 (RFC 6666). Every surrogate is made of the number of its value only, so that
the same value has the same one wherever it stands in a session, and nothing of the value itself shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple

from sidecar.guardrails.pattern_surrogates import samples

_FIRST_DAY = date(1, 1, 1)
_DAYS = 365 * 900
_MOST_FILL = 4096
"""Characters to which a surrogate is filled up for the sake of minLength."""
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


class Numbered(NamedTuple):
    """What a surrogate is made of: the name of its kind, its number within the kind, and within the session."""

    kind: str
    number: int
    serial: int


class Family(NamedTuple):
    """Surrogates of one form. `needle` stands in each of them, `pattern` finds them in other text."""

    name: str
    make: Callable[[Numbered], str]
    needle: str
    pattern: re.Pattern[str]


def token(one: Numbered) -> str:
    """`<EMAIL_1>`."""
    return f"<{one.kind}_{one.number}>"


def _word(one: Numbered) -> str:
    return f"{one.kind.lower().replace('_', '-')}-{one.number}"


def _day(one: Numbered) -> date:
    return _FIRST_DAY + timedelta(days=one.serial % _DAYS)


def _four(one: Numbered) -> str:
    serial = one.serial
    return f"240.{serial >> 16 & 255}.{serial >> 8 & 255}.{serial & 255}"


def _alone(text: str) -> re.Pattern[str]:
    """A form that ends where digits end, which must not be found within something longer."""
    return re.compile(rf"(?<![\w.:-]){text}(?![\w:-]|\.\w)")


TOKENS: Final = Family("token", token, "<", re.compile(r"<[A-Z][A-Z0-9_]{2,51}>"))
PLAIN: Final = (
    Family(
        "email",
        lambda one: f"{_word(one)}@masked.invalid",
        "@masked.invalid",
        re.compile(r"(?<![\w.+-])[a-z][a-z0-9-]{1,50}@masked\.invalid(?![\w-]|\.\w)"),
    ),
    Family(
        "uri",
        lambda one: f"https://masked.invalid/{_word(one)}",
        "//masked.invalid/",
        re.compile(r"https://masked\.invalid/[a-z][a-z0-9-]{1,50}(?![\w-])"),
    ),
    Family(
        "hostname",
        lambda one: f"{_word(one)}.masked.invalid",
        ".masked.invalid",
        _alone(r"[a-z][a-z0-9-]{1,50}\.masked\.invalid"),
    ),
    Family(
        "uuid",
        lambda one: f"00000000-0000-4000-8000-{one.serial:012x}",
        "-4000-8000-",
        _alone(r"0{8}-0000-4000-8000-[0-9a-f]{12}"),
    ),
    Family("date", lambda one: _day(one).isoformat(), "-", _alone(r"0[0-9]{3}-[0-9]{2}-[0-9]{2}")),
    Family(
        "date-time",
        lambda one: f"{_day(one).isoformat()}T00:00:00Z",
        "T00:00:00Z",
        _alone(r"0[0-9]{3}-[0-9]{2}-[0-9]{2}T00:00:00Z"),
    ),
    Family("time", lambda one: f"00:00:00.{one.serial:07d}Z", "00:00:00.", _alone(r"00:00:00\.[0-9]{7,12}Z")),
    Family("ipv4", _four, "240.", _alone(r"240\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")),
    Family("ipv6", lambda one: f"100::{one.serial:x}", "100::", _alone(r"100::[0-9a-f]{1,12}")),
    Family("duration", lambda one: f"PT{one.serial}S", "PT", _alone(r"PT[0-9]{1,12}S")),
)
"""Forms for places that want one, in the order in which they are tried."""

NUMBERS: Final = _alone(r"-?9990[0-9]{11}(?:\.[05])?")
"""Number surrogates of the common form, in text."""

_BY_FORMAT: Final = {
    "email": "email",
    "idn-email": "email",
    "uri": "uri",
    "iri": "uri",
    "uri-reference": "uri",
    "iri-reference": "uri",
    "uri-template": "uri",
    "hostname": "hostname",
    "idn-hostname": "hostname",
}


def families(formats: frozenset[str]) -> list[Family]:
    """Those that were asked for first; `TOKENS` before all others."""
    wanted = {_BY_FORMAT.get(name, name) for name in formats}
    return [TOKENS, *sorted(PLAIN, key=lambda family: family.name not in wanted)]


def shaped(one: Numbered, least: int, most: int | None, patterns: tuple[str, ...]) -> Iterator[str]:
    """Surrogates for a place with a length or a pattern: filled or short ones, then such as a pattern says."""
    name = token(one)
    if len(name) < least <= _MOST_FILL:
        yield name[:-1] + "_" * (least - len(name)) + ">"
    short = _base36(one.serial)
    for text in (_word(one), f"x{short}", short):
        if most is None or len(text) <= most:
            yield text.ljust(min(least, _MOST_FILL), "x")
    for pattern in patterns:
        yield from samples(pattern, one.serial, least, most)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits or "0"


def looks_real(digits: str) -> bool:
    """Whether a detector of cards, social security numbers, telephones and the like could take it for one."""
    size = len(digits)
    if size == 9:
        return not digits.startswith(("000", "666")) and digits[3:5] != "00"
    if size in (10, 11):
        return digits[-10] in "23456789" and digits[-7] in "23456789"
    return size >= 12 and passes_luhn(digits)


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) << (place & 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
