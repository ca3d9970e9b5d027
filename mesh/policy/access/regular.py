"""Regular expressions of Gateway API, in RE2's syntax and in time linear in what they are matched with.

They come from whoever writes policies and are tried on what peers send, so Python's own engine is not for them.
Loaded when the first one is compiled: most sidecars have none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

MAX_MEMORY = 1 << 20
"""What one expression may take once compiled, in bytes."""


def regular_fault(expression: str) -> str | None:
    """What is wrong with an expression, or None."""
    try:
        _compiled(expression)
    except ValueError as refused:
        return str(refused)
    return None


def full_match(expression: str) -> Callable[[str], bool]:
    """A test whether an expression matches the whole of a text. Raises ValueError for what is none."""
    matches = _compiled(expression).fullmatch

    def test(value: str) -> bool:
        try:
            return matches(value) is not None
        except UnicodeEncodeError:  # half a surrogate pair is no text, and so nothing that was meant
            return False

    return test


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    try:
        return re2.compile(expression, options)
    except (re2.error, UnicodeEncodeError) as refused:
        raise ValueError(f"no regular expression of RE2: {_told(refused)}") from refused


def _told(refused: Exception) -> str:
    said = refused.args[0] if refused.args else refused
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
