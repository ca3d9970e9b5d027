"""What a setting may hold: small checkers that say both what is wrong and what is allowed.

A checker never repairs a value. What it does not understand it rejects, because a setting that is silently
ignored is a protection that somebody believes in and does not have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([a-zA-Z]{0,2})")

_CPU_SUFFIXES = {"": Decimal(1), "m": Decimal("0.001")}
_MEMORY_SUFFIXES = {
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
}


class ValueType(Protocol):
    """What a setting may hold."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words that fit after "allowed: "."""
        ...

    def problem(self, text: str) -> str | None:
        """What is wrong with `text`, or None when it is allowed."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words. `later` holds the words that a later version understands and this one refuses."""

    values: tuple[str, ...]
    later: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        return " or ".join(self.values)

    def problem(self, text: str) -> str | None:
        if text in self.values:
            return None
        if text in self.later:
            return "is not supported by this version"
        return "is not a known value"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A positive amount in Kubernetes notation, without exponents and without units that nobody means.

    `64m` of memory is 64 thousandths of a byte to Kubernetes; whoever writes it meant something else.
    """

    resource: str

    @property
    def allowed(self) -> str:
        if self.resource == "cpu":
            return "a positive CPU quantity such as 100m, 0.5 or 2"
        return "a positive memory quantity such as 96Mi, 1Gi or 128M"

    def problem(self, text: str) -> str | None:
        return None if self.amount(text) is not None else "is not a quantity"

    def amount(self, text: str) -> Decimal | None:
        """`text` in cores or bytes, or None when it is no positive quantity of this resource."""
        suffixes = _CPU_SUFFIXES if self.resource == "cpu" else _MEMORY_SUFFIXES
        match = _QUANTITY.fullmatch(text)
        if match is None or match[2] not in suffixes:
            return None
        amount = Decimal(match[1]) * suffixes[match[2]]
        return amount if amount > 0 else None


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port number."""

    @property
    def allowed(self) -> str:
        return "a port number from 1 to 65535"

    def problem(self, text: str) -> str | None:
        if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535:
            return None
        return "is not a port number"


@dataclass(frozen=True, slots=True)
class Text:
    """Any text; `described` says what it holds. Whoever reads the value checks it further."""

    described: str

    @property
    def allowed(self) -> str:
        return self.described

    def problem(self, text: str) -> str | None:
        return None
