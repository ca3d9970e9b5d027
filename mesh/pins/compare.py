"""What differs between two definitions of a tool, for a person to read.

A difference names the place, and what stood and stands there. Characters that cannot be seen or that look like
others are written as escapes, because they may be all that differs; and everything is cut to a bounded length.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mesh.pins.canonical import canonical
from mesh.pins.digest import definition

MOST_CHANGES: Final = 8
"""Named in one difference; `more` counts the rest."""
MAX_TEXT: Final = 120
"""Characters of what stood or stands somewhere; around the place where texts begin to differ."""
_LEAD: Final = 24
MAX_PATH: Final = 160
_CUT: Final = "…"


@dataclass(frozen=True, slots=True)
class Change:
    """One place. `before` is None where nothing stood there, `after` where nothing does any more."""

    path: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.path} added: {self.after}"
        if self.after is None:
            return f"{self.path} removed: {self.before}"
        return f"{self.path}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Difference:
    """At least one change; `more` are not told."""

    changes: tuple[Change, ...]
    more: int = 0

    def __str__(self) -> str:
        told = "; ".join(map(str, self.changes))
        return f"{told}; and {self.more} more" if self.more else told


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference | None:
    """What differs between two definitions of a tool; None where nothing does that is pinned.

    The order of members does not count, every character does. Raises NotCanonical.
    """
    old, new = definition(before), definition(after)
    if canonical(old) == canonical(new):
        return None
    found: list[Change] = []
    more = 0
    for change in _changes(old, new, ""):
        if len(found) < MOST_CHANGES:
            found.append(_shown(*change))
        else:
            more += 1
    return Difference(tuple(found), more)


class _Absent:
    """Where nothing stands."""


_ABSENT: Final = _Absent()


def _changes(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Every place that differs, the outermost first."""
    if type(old) is dict and type(new) is dict:
        for name in sorted(old.keys() | new.keys()):
            below = f"{path}.{_name(name)}" if path else _name(name)
            yield from _changes(old.get(name, _ABSENT), new.get(name, _ABSENT), below)
    elif type(old) is list and type(new) is list:
        for index in range(max(len(old), len(new))):
            one, other = (items[index] if index < len(items) else _ABSENT for items in (old, new))
            yield from _changes(one, other, f"{path}[{index}]")
    elif old is _ABSENT or new is _ABSENT or canonical(old) != canonical(new):
        yield path, old, new


def _name(name: str) -> str:
    told = escaped(name)
    return told if told.replace("_", "").replace("-", "").replace("$", "").isalnum() else f'"{told}"'


def _shown(path: str, old: Any, new: Any) -> Change:
    start = 0
    texts = type(old) is str and type(new) is str
    if texts:
        start = max(_first_difference(old, new) - _LEAD, 0)
    sides = (None if side is _ABSENT else _text(side, start) for side in (old, new))
    return Change(_cut(path, MAX_PATH), *sides)


def _text(value: Any, start: int = 0) -> str:
    if type(value) is str:
        lead = _CUT if start else ""
        rest = value[start : start + MAX_TEXT + 1]
        return f'"{lead}{_cut(escaped(rest), MAX_TEXT)}"'
    return _cut(escaped(canonical(value).decode()), MAX_TEXT)


def _first_difference(old: str, new: str) -> int:
    shorter = min(len(old), len(new))
    low, high = 0, shorter
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[:middle] == new[:middle] else (low, middle - 1)
    return low


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + _CUT


def escaped(text: str) -> str:
    """`text` where each character that is not printable ASCII is `\\u{hex}`, unless it is a letter or digit of a
    text that has none of ASCII beside it to be mistaken for."""
    if text.isascii() and text.isprintable():
        return text
    mixed = any(one.isascii() and one.isalpha() for one in text)
    return "".join(one if _plain(one, mixed) else f"\\u{{{ord(one):x}}}" for one in text)


def _plain(one: str, mixed: bool) -> bool:
    if one.isascii():
        return one.isprintable()
    if mixed:
        return one == _CUT
    return unicodedata.category(one) in ("Ll", "Lu", "Lo", "Lt", "Nd", "Po", "Pd") and not _strange(one)


def _strange(one: str) -> bool:
    """Letters that are not seen, like the fillers of Hangul."""
    return one in "\u115f\u1160\u3164\uffa0" or unicodedata.normalize("NFKC", one) != one
