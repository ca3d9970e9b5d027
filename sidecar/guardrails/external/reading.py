"""Reads what detectors wrote: each function gives a value of the type in its name, or raises AnswerUnusable."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sidecar.guardrails.external.question import AnswerUnusable

MOST_KIND: Final = 64
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]|[0-9]+")


def an_object(value: Any, what: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise AnswerUnusable(f"{what} is no object")
    return value


def a_list(value: Any, what: str, length: int | None = None) -> list[Any]:
    """`length`: how many entries there have to be."""
    if type(value) is not list:
        raise AnswerUnusable(f"{what} is no array")
    if length is not None and len(value) != length:
        raise AnswerUnusable(f"{what} has {len(value)} entries instead of {length}")
    return value


def a_text(value: Any, what: str) -> str:
    if type(value) is not str:
        raise AnswerUnusable(f"{what} is no string")
    return value


def a_score(value: Any, what: str = "score") -> float:
    """A number from 0 to 1, with some room for rounding; NaN is none."""
    if (type(value) is float or type(value) is int) and -1e-6 <= value <= 1 + 1e-6:
        return min(max(float(value), 0.0), 1.0)
    raise AnswerUnusable(f"{what} is no number from 0 to 1")


def an_offset(value: Any, what: str) -> int:
    if type(value) is not int:
        raise AnswerUnusable(f"{what} is no whole number")
    return value


def kind_of(*names: str) -> str:
    """A kind as findings have it: `EmailAddress` is EMAIL_ADDRESS, `self-harm/intent` SELF_HARM_INTENT."""
    words: Sequence[str] = [word.upper() for name in names for word in _WORDS.findall(name[:256])]
    return "_".join(words)[:MOST_KIND].strip("_") or "DETECTED"
