"""Matching a name against a list of entries, in time linear in the name.

Most patterns are `list_*`, `*_list` or `*list*`, and those are one string operation each, or one for all. The
rest become one regular expression in which every literal piece sits in an atomic group: the leftmost place
where a piece fits is always good enough, so the engine never comes back to try another, and a hostile name
cannot make it explore a power of the number of stars.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mesh.policy.entries import EVERYTHING, is_pattern

_Indexed = list[tuple[str, int]]


class EntryList:
    """A compiled list of entries. `find` gives the index of one that matches, an exact one if there is one."""

    __slots__ = ("_exact", "_infixes", "_prefixes", "_regex", "_regex_indexes", "_suffixes", "everything")

    def __init__(self, entries: Sequence[str]) -> None:
        self.everything: int | None = None
        self._exact: dict[str, int] = {}
        prefixes: _Indexed = []
        suffixes: _Indexed = []
        self._infixes: _Indexed = []
        others: _Indexed = []
        for index, entry in enumerate(entries):
            if not is_pattern(entry):
                self._exact.setdefault(entry, index)
            elif entry == EVERYTHING:
                self.everything = index if self.everything is None else self.everything
            elif "?" not in entry and "*" not in (literal := entry.strip("*")):
                shape = prefixes if entry[0] != "*" else suffixes if entry[-1] != "*" else self._infixes
                shape.append((literal, index))
            else:
                others.append((entry, index))
        self._prefixes = _split(prefixes)
        self._suffixes = _split(suffixes)
        self._regex_indexes = [index for _, index in others]
        self._regex = re.compile("|".join(f"({glob_regex(entry)})" for entry, _ in others), re.DOTALL)

    @property
    def exact(self) -> frozenset[str] | None:
        """The entries, if all are exact names; None if there is a pattern."""
        patterns = self._infixes or self._prefixes[0] or self._suffixes[0] or self._regex_indexes
        return None if patterns or self.everything is not None else frozenset(self._exact)

    def find_exact(self, name: str) -> int | None:
        """The index of the entry that is this very name."""
        return self._exact.get(name)

    def find(self, name: str) -> int | None:
        """The index of an entry that is this name or matches it, None when there is none."""
        index = self._exact.get(name)
        if index is not None:
            return index
        if self.everything is not None:
            return self.everything
        prefixes, indexes = self._prefixes
        if name.startswith(prefixes):
            return next(i for prefix, i in zip(prefixes, indexes, strict=True) if name.startswith(prefix))
        suffixes, indexes = self._suffixes
        if name.endswith(suffixes):
            return next(i for suffix, i in zip(suffixes, indexes, strict=True) if name.endswith(suffix))
        for infix, i in self._infixes:
            if infix in name:
                return i
        return self._find_other(name)

    def _find_other(self, name: str) -> int | None:
        """The patterns that need a regular expression: group n of its match is pattern n - 1."""
        match = self._regex.fullmatch(name) if self._regex_indexes else None
        if match is None or match.lastindex is None:
            return None
        return self._regex_indexes[match.lastindex - 1]


def _split(indexed: _Indexed) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return tuple(text for text, _ in indexed), tuple(index for _, index in indexed)


def glob_regex(pattern: str) -> str:
    """The regular expression of a glob for fullmatch: `a*b*c` becomes `a(?>.*?b).*c`."""
    head, *pieces = [_literal(piece) for piece in pattern.split("*")]
    if not pieces:
        return head
    middle = "".join(f"(?>.*?{piece})" for piece in pieces[:-1])
    return f"{head}{middle}.*{pieces[-1]}"


def _literal(piece: str) -> str:
    return "".join("." if c == "?" else re.escape(c) for c in piece)
