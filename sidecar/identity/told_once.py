"""Telling a problem when it begins, not each time that it is still there."""

from __future__ import annotations

from collections.abc import Callable


class ToldOnce:
    """Passes a sentence on to `tell` unless the last one was about the same cause.

    The cause is apart from the sentence, which may hold what differs each time (a date, a number of attempts).
    """

    __slots__ = ("_cause", "_tell")

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._cause: str | None = None

    def problem(self, cause: str, sentence: str) -> None:
        """There is a problem; another cause than the last is told."""
        if cause != self._cause:
            self._cause = cause
            self._tell(sentence)

    def over(self) -> None:
        """It works: the same problem would be news again."""
        self._cause = None
