"""The entries of allow and deny lists: what they may look like, and how they are matched in linear time.

An entry is exact unless it holds `*` (any run of characters) or `?` (one character). All patterns of a list
become one regular expression in which every literal piece sits in an atomic group: the leftmost place a
piece fits is always good enough, so the engine need never come back, and a hostile name costs time
proportional to its length and not to a power of the number of stars.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MAX_ENTRY = 512
MAX_STARS = 8
EVERYTHING = "*"

_WELL_FORMED = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_PATTERN = re.compile(r"[A-Za-z0-9_./*?-]{1,512}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def well_formed_name(name: str) -> bool:
    """True for a tool or prompt name that patterns may match: 1 to 128 of `A-Z a-z 0-9 _ . / -` (MCP, tool
    names).
    """
    return _WELL_FORMED.fullmatch(name) is not None


def is_pattern(entry: str) -> bool:
    """True when the entry holds a wildcard, so that it is no exact name."""
    return "*" in entry or "?" in entry


def name_fault(entry: str) -> str | None:
    """What is wrong with an entry for tools or prompts, or None."""
    fault = _entry_fault(entry)
    if fault is None and is_pattern(entry) and not _PATTERN.fullmatch(entry):
        return (
            "this pattern holds characters other than A-Z a-z 0-9 _ . / - * ?, and patterns match only names "
            "made of those; write such a name out exactly"
        )
    return fault


def resource_fault(entry: str) -> str | None:
    """What is wrong with an entry for resources, or None."""
    return _entry_fault(entry)


def _entry_fault(entry: str) -> str | None:
    if not entry:
        return 'an entry is not empty; allowed: a name, or a pattern with * and ?, or "*" for everything'
    if len(entry) > MAX_ENTRY:
        return f"{len(entry)} characters; an entry has at most {MAX_ENTRY}"
    if "**" in entry:
        return "** is not a pattern; one * already matches any run of characters, slashes too"
    if entry.count("*") > MAX_STARS:
        return f"{entry.count('*')} stars; a pattern has at most {MAX_STARS}"
    if is_pattern(entry) and _UNPRINTABLE.search(entry):
        return "a pattern holds no control characters"
    return None


class EntryList:
    """A compiled list of entries. `find` answers with the index of the first entry that matches, exact ones
    first.
    """

    __slots__ = ("_exact", "_indexes", "_pattern", "everything")

    def __init__(self, entries: Sequence[str]) -> None:
        self._exact = {entry: i for i, entry in reversed(list(enumerate(entries))) if not is_pattern(entry)}
        self._indexes = [i for i, entry in enumerate(entries) if is_pattern(entry)]
        self.everything: int | None = next(
            (i for i, entry in enumerate(entries) if entry == EVERYTHING), None
        )
        self._pattern = _union([entries[i] for i in self._indexes])

    def find_exact(self, name: str) -> int | None:
        """The index of the entry that is this very name."""
        return self._exact.get(name)

    def find(self, name: str) -> int | None:
        """The index of an entry that is this name or matches it, None when there is none."""
        index = self._exact.get(name)
        if index is None and self._pattern is not None:
            match = self._pattern(name)
            if match is not None and match.lastindex is not None:
                return self._indexes[match.lastindex - 1]
        return index


def _union(patterns: list[str]) -> Callable[[str], re.Match[str] | None] | None:
    """One matcher for all patterns; group n of its match belongs to pattern n - 1."""
    if not patterns:
        return None
    return re.compile("|".join(f"({glob_regex(pattern)})" for pattern in patterns), re.DOTALL).fullmatch


def glob_regex(pattern: str) -> str:
    """The regular expression of a glob for fullmatch: `a*b*c` becomes `a(?>.*?b).*c`, with at most one open
    `.*`.
    """
    head, *pieces = [_literal(piece) for piece in pattern.split("*")]
    if not pieces:
        return head
    middle = "".join(f"(?>.*?{piece})" for piece in pieces[:-1])
    return f"{head}{middle}.*{pieces[-1]}"


def _literal(piece: str) -> str:
    return "".join("." if c == "?" else re.escape(c) for c in piece)
