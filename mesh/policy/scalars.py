"""What YAML readers make of an unquoted word.

YAML 1.1 and 1.2 disagree (`no`, `010`, `1e3`, `12:30`), and so do readers of each. A word that any of them
would read as something other than a string is not accepted as a string: the author is asked for quotes. Only
the forms that all of them agree on are accepted as booleans and integers.
"""

from __future__ import annotations

import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n"})
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,17})?")
_NUMBER = re.compile(
    r"""[-+]?(?:
        0b[01_]+ | 0o[0-7_]+ | 0x[0-9a-fA-F_]+
      | [0-9][0-9_]* (?: :[0-5]?[0-9] )+ (?: \.[0-9_]* )?
      | (?: [0-9][0-9_]* (?: \.[0-9_]* )? | \.[0-9][0-9_]* ) (?: [eE][-+]?[0-9]+ )?
      | \.(?:inf|Inf|INF|nan|NaN|NAN)
    )""",
    re.VERBOSE,
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?", re.DOTALL)


def read_as(text: str) -> str:
    """The type that some YAML reader gives the unquoted `text`: null, boolean, number, date or string."""
    if text in _NULL:
        return "null"
    if text.lower() in _BOOLEAN:
        return "boolean"
    if _NUMBER.fullmatch(text):
        return "number"
    return "date" if _DATE.fullmatch(text) else "string"


def merges(text: str) -> bool:
    """True for the unquoted key that YAML 1.1 reads as "merge that mapping into this one"."""
    return text == "<<"


def plain_integer(text: str) -> int | None:
    """The integer that every YAML reader agrees on, or None (`010`, `0x1`, `1_000`, `+1`)."""
    return int(text) if _INTEGER.fullmatch(text) else None


def plain_decimal(text: str) -> float | None:
    """The number of a plain decimal, like `0.5` or `1`; None for other notations (`.5`, `1e-3`, `+1`)."""
    return float(text) if _DECIMAL.fullmatch(text) else None


def plain_boolean(text: str) -> bool | None:
    """True for `true`, False for `false`, None for every other spelling (`yes`, `on`, `True`)."""
    return {"true": True, "false": False}.get(text)
