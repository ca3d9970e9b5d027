"""What a check finds: a state, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How good it is. Only FAILED makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """`seen` holds one statement or more, without full stops. `hint` goes before that of the table: it has the
    names that are meant."""

    state: State
    seen: tuple[str, ...]
    hint: str = ""


def ok(*seen: str) -> Result:
    """All is well."""
    return Result(State.OK, seen)


def warning(*seen: str) -> Result:
    """It works, and yet somebody should look."""
    return Result(State.WARNING, seen)


def failed(*seen: str, hint: str = "") -> Result:
    """Something does not work, or does not protect."""
    return Result(State.FAILED, seen, hint)


def skipped(*seen: str) -> Result:
    """It could not be looked at, or there is nothing to look at."""
    return Result(State.SKIPPED, seen)


def judged(problems: list[str], fine: str, worst: State = State.FAILED, hint: str = "") -> Result:
    """`worst` with all problems where there are any, else ok with `fine`."""
    return Result(worst, tuple(problems), hint) if problems else ok(fine)
