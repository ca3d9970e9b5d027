"""The one spelling of a JSON value, so that equal values have equal bytes (RFC 8785, JCS).

Members are sorted by the UTF-16 code units of their names, numbers are written as ECMAScript writes them, strings
with no escape that is not needed, and there is no white space. So the order of members and the layout of a text do
not count, and every character does.

Integers that no double holds exactly are outside of what RFC 8785 is about (I-JSON, RFC 7493 2.2); they are
written with all their digits, so that two that differ never look the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from json.encoder import JSONEncoder, encode_basestring
from typing import Any, Final

MAX_DEPTH: Final = 200
"""Levels of arrays and objects; the parser of messages allows fewer."""

_EXACT: Final = 2**53
# A number follows one of these wherever there is no white space; what looks like one in a string does no harm.
_OTHERWISE = re.compile(r"(?:^|[:\[,])-?[0-9]+(?:[.eE]|(?<=[0-9]{16}))|[\ud800-\U0010ffff]")
_encode = JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


class NotCanonical(ValueError):
    """The caller's value is not one that JSON can say, or nested too deep. Raised before anything is written."""


def canonical(value: Any) -> bytes:
    """`value`, as readers of JSON make them (dict, list, str, int, float, bool, None), in the form of RFC 8785, in
    UTF-8. Raises NotCanonical."""
    text = _quickly(value)
    if text is None:
        parts: list[str] = []
        _write(value, parts.append, 0)
        text = "".join(parts)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("a string holds half of a surrogate pair") from error


def _quickly(value: Any) -> str | None:
    """The same by the encoder of the standard library, ten times as fast, where both agree: but for fractions,
    numbers of many digits, and names beyond U+D7FF, which it sorts by code points. None: they may not."""
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError):
        return None
    if text.count("{") + text.count("[") > MAX_DEPTH or _OTHERWISE.search(text):
        return None
    return text


def _write(value: Any, put: Callable[[str], None], depth: int) -> None:
    kind = type(value)
    if kind is str:
        put(encode_basestring(value))
    elif kind is dict:
        _write_object(value, put, depth + 1)
    elif kind is list or kind is tuple:
        _write_array(value, put, depth + 1)
    elif value is None:
        put("null")
    elif kind is bool:
        put("true" if value else "false")
    else:
        put(number(value))


def _write_object(members: dict[Any, Any], put: Callable[[str], None], depth: int) -> None:
    _check(depth)
    if not all(type(name) is str for name in members):
        raise NotCanonical("the name of a member is no string")
    names = sorted(members) if all(map(str.isascii, members)) else sorted(members, key=_code_units)
    before = "{"
    for name in names:
        put(before)
        put(encode_basestring(name))
        put(":")
        _write(members[name], put, depth)
        before = ","
    put("}" if members else "{}")


def _write_array(items: list[Any] | tuple[Any, ...], put: Callable[[str], None], depth: int) -> None:
    _check(depth)
    before = "["
    for item in items:
        put(before)
        _write(item, put, depth)
        before = ","
    put("]" if items else "[]")


def _check(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH} levels")


def _code_units(name: str) -> bytes:
    """Big-endian UTF-16 compares as its code units do."""
    return name.encode("utf-16-be", "surrogatepass")


def number(value: Any) -> str:
    """A number as ECMAScript writes it (Number::toString; RFC 8785 3.2.2.3). Raises NotCanonical for NaN,
    infinities, and what is no number."""
    if type(value) is int:
        if -_EXACT <= value <= _EXACT:
            return str(value)
        return _large(value)
    if type(value) is not float:
        raise NotCanonical(f"JSON has no {type(value).__name__}")
    if value != value or value in (float("inf"), float("-inf")):
        raise NotCanonical("JSON has no number like NaN or Infinity")
    return _double(value)


def _large(value: int) -> str:
    try:
        exact = float(value)
    except OverflowError:
        exact = 0.0
    if exact == value:
        return _double(exact)
    try:
        return str(value)
    except ValueError as error:
        raise NotCanonical("an integer has more digits than can be written") from error


def _double(value: float) -> str:
    """From the shortest digits that read back as the same double, which Python finds as ECMAScript does."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    whole, point, after = repr(abs(value)).partition("e")[0].partition(".")
    exponent = int(repr(abs(value)).partition("e")[2] or 0)
    digits = (whole + (after if point else "")).lstrip("0")
    # Where the decimal point stands, counted from the first digit that is none of the zeros in front.
    place = len(whole) + exponent - (len(whole + after) - len((whole + after).lstrip("0")))
    return sign + _placed(digits.rstrip("0"), place)


def _placed(digits: str, place: int) -> str:
    """`digits`, of which `place` stand before the decimal point."""
    count = len(digits)
    if count <= place <= 21:
        return digits + "0" * (place - count)
    if 0 < place <= 21:
        return f"{digits[:place]}.{digits[place:]}"
    if -6 < place <= 0:
        return f"0.{'0' * -place}{digits}"
    power = f"e{'+' if place > 0 else '-'}{abs(place - 1)}"
    return f"{digits[0]}.{digits[1:]}{power}" if count > 1 else digits + power
