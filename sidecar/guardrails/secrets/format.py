"""What one kind of credential looks like: a row of the table from which detection and documentation both come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Check = Callable[[str], float]
"""How sure one is that this text, which has the right shape, is a credential: 0 (it is not) to 1."""


@dataclass(frozen=True, slots=True)
class Format:
    """`patterns` are RE2; where one has groups, the first that took part is the credential, else all of the match.

    `doc` is one line for users. `check` looks at the credential once its shape is right; None asks only that it is
    no placeholder.
    """

    kind: str
    doc: str
    patterns: tuple[str, ...]
    check: Check | None = None


def fmt(kind: str, doc: str, *patterns: str, check: Check | None = None) -> Format:
    """A row."""
    return Format(kind, doc, patterns, check)
