"""JSON that stands in a text: its strings and numbers by place, so that one can be changed and all else stays.

Servers put the JSON that they return into a text as well, and agents pass JSON in strings. What is masked in there
is replaced in place: white space, order of keys, spelling of numbers and other strings' escapes stay as they were.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

MOST_DEPTH: Final = 64
MOST_CHARACTERS: Final = 4 << 20
"""A longer text is treated as one that is not JSON."""
MOST_SCALARS: Final = 65_536
"""Strings and numbers whose places are looked for, which takes some 0.2 s; in more of them, and in what nests
deeper than MOST_DEPTH, none has a place (`too_much`)."""

_TOKEN = re.compile(
    r'[ \t\r\n]*(?:("(?:[^"\\]++|\\.)*+")'
    r"|(-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)|(true|false|null)|([{}\[\],:]))"
)
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)")


@dataclass(slots=True)
class Scalar:
    """One string or number, at `start` to `end` of the text, quotes included. `path` leads to it in the value;
    `is_key`: it names a member there."""

    path: tuple[str | int, ...]
    value: Any
    start: int
    end: int
    is_key: bool = False


@dataclass(slots=True)
class JsonText:
    """A text that is JSON: its value, and its strings and numbers from left to right. `repeated`: a key stands
    twice in one object, so that paths are ambiguous."""

    value: Any
    scalars: list[Scalar]
    repeated: bool = False
    too_much: bool = False
    _ends: list[int] = field(default_factory=list)

    @property
    def ends(self) -> list[int]:
        """Where each of `scalars` ends."""
        if not self._ends:
            self._ends = [scalar.end for scalar in self.scalars]
        return self._ends


def read(text: str, *, containers_only: bool = True) -> JsonText | None:
    """`text` as JSON; None where it is none."""
    beginning = text.lstrip(" \t\r\n")[:1]
    if beginning not in ("{", "[") and (containers_only or not beginning):
        return None
    if len(text) > MOST_CHARACTERS:
        return None
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return _scan(text, value)


def _scan(text: str, value: Any) -> JsonText:
    """The text is valid; what is left is to see where everything stands."""
    found = JsonText(value, [])
    path: list[str | int] = []
    keys: list[set[str] | None] = []
    expects_key = False
    for token in _TOKEN.finditer(text):
        string, number, _, mark = token.groups()
        if len(path) > MOST_DEPTH or len(found.scalars) > MOST_SCALARS:
            return JsonText(value, [], too_much=True)
        if mark == "{":
            path.append("")
            keys.append(set())
            expects_key = True
        elif mark == "[":
            path.append(0)
            keys.append(None)
        elif mark == "," and type(path[-1]) is int:
            path[-1] += 1
        elif mark == ",":
            expects_key = True
        elif mark in ("}", "]"):
            path.pop()
            keys.pop()
            expects_key = False
        elif string is not None:
            start, end = token.span(1)
            read_string = msgspec.json.decode(string.encode())
            if expects_key:
                known = keys[-1]
                found.repeated |= known is None or read_string in known
                if known is not None:
                    known.add(read_string)
                path[-1] = read_string
            found.scalars.append(Scalar(tuple(path), read_string, start, end, expects_key))
            expects_key = False
        elif number is not None:
            start, end = token.span(2)
            found.scalars.append(Scalar(tuple(path), msgspec.json.decode(number), start, end))
    return found


def places(raw: str) -> list[int] | None:
    """Where each code point of a JSON string stands in its spelling `raw` (quotes included), and where the last
    one ends; None where code point i simply stands at i + 1."""
    if "\\" not in raw:
        return None
    at: list[int] = []
    place, end = 1, len(raw) - 1
    for escape in _ESCAPE.finditer(raw, 1, end):
        at += range(place, escape.start())
        at.append(escape.start())
        place = escape.end()
    at += range(place, end)
    at.append(end)
    return at


def spelled(value: Any, ascii_only: bool) -> str:
    """`value` as JSON."""
    return json.dumps(value, ensure_ascii=ascii_only)


def spliced(text: str, changes: list[tuple[int, int, str]]) -> str:
    """`text` with each (start, end, new text) in place; they do not overlap."""
    parts: list[str] = []
    place = 0
    for start, end, new in sorted(changes):
        parts += (text[place:start], new)
        place = end
    parts.append(text[place:])
    return "".join(parts)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; true is not 1."""
    return msgspec.json.encode(one, order="deterministic") == msgspec.json.encode(
        other, order="deterministic"
    )
