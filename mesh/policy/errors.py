"""What is wrong with a policy file: every error at once, each with its place.

PolicyInvalid        the person who wrote the documents is at fault
  errors             one PolicyError per fault
"""

from __future__ import annotations

from dataclasses import dataclass, field

SHOWN_CHARACTERS = 60
MAX_ERRORS = 1000


@dataclass(frozen=True, slots=True, order=True)
class PolicyError:
    """One fault: `line` counts from 1, 0 where there are none (an object, no text); `path` is like
    `spec.outbound[0].tools.allow[2]` (empty: the whole document).
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        return f"{where}{self.path}: {self.message}" if self.path else where + self.message


class PolicyInvalid(Exception):
    """The documents cannot be used; whoever wrote them is at fault. Nothing of them takes effect."""

    def __init__(self, errors: tuple[PolicyError, ...]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors


@dataclass(slots=True)
class ErrorLog:
    """Collects the faults of one file. Past `MAX_ERRORS` it only counts: nobody reads more."""

    file: str
    errors: list[PolicyError] = field(default_factory=list)
    dropped: int = 0

    def add(self, line: int, path: str, message: str) -> None:
        """Note a fault at `line` (from 1) and `path`."""
        if self.full:
            self.dropped += 1
        else:
            self.errors.append(PolicyError(self.file, line, path, message))

    @property
    def full(self) -> bool:
        """True when further faults are only counted, so that their messages need no care."""
        return len(self.errors) >= MAX_ERRORS

    def listed(self) -> list[PolicyError]:
        """The faults by line, and a last one that counts those left out."""
        listed = sorted(self.errors)
        if self.dropped:
            listed.append(
                PolicyError(self.file, listed[-1].line, "", f"{self.dropped} more errors are not listed")
            )
        return listed


def shown(text: str) -> str:
    """`text` in double quotes, printable, and cut to a length that fits a line."""
    cut = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else ascii(c)[1:-1] for c in cut) + '"'
