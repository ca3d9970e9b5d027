"""What a detector is: text in, hits out. It knows nothing of messages, policies or actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

SEPARATOR = "\x1f"
"""Stands between the texts of one message, which detectors are given as one. A key stands before its value."""


class Hit(NamedTuple):
    """Something that was found, at code points `start` to `end` of the text that was looked at.

    `kind` is a stable name in capitals, like EMAIL or GITHUB_TOKEN; `score` from 0 to 1. `note` says what
    fired, for `outrider guard explain`; it holds nothing of the text.
    """

    kind: str
    start: int
    end: int
    score: float = 1.0
    note: str = ""


class DetectorFailed(Exception):
    """A detector cannot answer, or not for all of the text: it is at fault, what it needs is missing, or there is
    more than it reads. `hits` is what it found all the same."""

    def __init__(self, message: str, hits: Sequence[Hit] = ()) -> None:
        super().__init__(message)
        self.hits = hits


class Detector(Protocol):
    """Looks for one family of things. Pure: no clock, no I/O, nothing remembered from text to text."""

    @property
    def name(self) -> str:
        """The DetectorKind."""
        ...

    def scan(self, text: str) -> list[Hit]:
        """What is in `text`, in time linear in its length. Texts of one message are joined with SEPARATOR, which
        no hit contains. Raises DetectorFailed where it cannot tell."""
        ...
