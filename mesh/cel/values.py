"""The values that expressions are asked about: which are taken, and how large they are.

The library takes Python's values as they are, with three exceptions that matter here. It cuts a string at U+0000,
by which `"/safe\\0/../secret"` would equal `"/safe"`; it fails half-way on a lone surrogate; and it has no
integers beyond 64 bits. Whatever holds one of those has no answer, rather than a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from mesh.cel.errors import CelExhausted, CelFailed

MAX_LEAVES: Final = 10_000
"""Values and keys, over all variables that an expression reads: the library copies each, in up to 0.3 us."""
MAX_CHARS: Final = 5 * 1024 * 1024
"""Bytes of UTF-8 at most, of all strings together: as many take 10 ms to look at and copy."""
MAX_DEPTH: Final = 100
_LOW, _HIGH = -(2**63), 2**64 - 1


class Size(NamedTuple):
    """`leaves`: how many values and keys; `chars`: at most so many bytes of UTF-8 in all strings together."""

    leaves: int
    chars: int


def measure(value: object) -> Size:
    """How large a value is, nothing checked but the limits.

    Raises:
        CelFailed: it holds what expressions cannot be asked about.
        CelExhausted: it is larger than expressions are asked about.
    """
    level: list[object] = [value]
    leaves = chars = 0
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        leaves += len(level)
        if leaves > MAX_LEAVES:
            raise CelExhausted(f"the values hold more than {MAX_LEAVES} members")
        for one in level:
            if isinstance(one, str):
                chars += len(one) if one.isascii() and "\0" not in one else _text(one)
            elif isinstance(one, dict):
                below += one
                below += one.values()
            elif isinstance(one, list):
                below += one
            else:
                _check_scalar(one)
        if chars > MAX_CHARS:
            raise CelExhausted(f"the values hold more than {MAX_CHARS} bytes of text")
        if not below:
            return Size(leaves, chars)
        level = below
    raise CelExhausted(f"the values are nested deeper than {MAX_DEPTH} levels")


def measure_all(values: Mapping[str, Any]) -> Size:
    """How large several variables are together; raises what `measure` raises."""
    return measure(list(values.values()))


def _text(text: str) -> int:
    if "\0" in text:
        raise CelFailed("a string holds the character U+0000")
    try:
        return len(text.encode())
    except UnicodeEncodeError as lone:
        raise CelFailed("a string holds half a surrogate pair") from lone


def _check_scalar(value: object) -> None:
    if isinstance(value, int):
        if not _LOW <= value <= _HIGH:
            raise CelFailed("a number is beyond 64 bits")
    elif value is not None and not isinstance(value, float | datetime):
        raise CelFailed(f"a value is of the type {type(value).__name__}")
