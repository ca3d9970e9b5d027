"""A finding: a statement in plain words, held against what happened.

The demo states nothing that it has not seen. Whatever it prints as a fact went through one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """`seen` is shown when the statement does not hold; `evidence`, if any, when it does."""

    statement: str
    holds: bool
    expected: str
    seen: str
    evidence: str = ""


def equal(statement: str, *, expected: Any, seen: Any, evidence: str = "") -> Finding:
    """Holds when what was seen is exactly what was expected."""
    return Finding(statement, bool(expected == seen), shown(expected), shown(seen), evidence)


def contains(statement: str, *, expected: str, seen: str | None, evidence: str = "") -> Finding:
    """Holds when `expected` stands somewhere in what was seen."""
    return Finding(statement, expected in (seen or ""), f"… {expected} …", shown(seen), evidence)


def shown(value: Any) -> str:
    """A value as a reader wants it: words, not Python."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, dict):
        return " ".join(f"{key}={shown(one)}" for key, one in value.items()) or "nothing"
    if isinstance(value, (tuple, list, set, frozenset)):
        return ", ".join(shown(one) for one in value) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
