"""The entries of allow and deny lists: what they may look like.

An entry is exact unless it holds `*` (any run of characters, slashes too) or `?` (one character). How entries
are matched is in `globs`.
"""

from __future__ import annotations

import re

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
