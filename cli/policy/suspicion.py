"""Something in a document that is right, and hardly meant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suspicion:
    """`where` is a document and the entry in it, `message` a sentence without its end."""

    where: str
    message: str
