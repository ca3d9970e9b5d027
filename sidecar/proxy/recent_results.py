"""What tools gave last, for detectors that judge an answer by what it is based on.

Kept for each session, in memory alone, and only where such a detector is in use; little of it, and not for long
sessions: what a model says is checked against what it has just read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Any

MOST_SESSIONS = 64
MOST_RESULTS = 4
MOST_CHARACTERS = 16 * 1024
"""Of one result."""


class RecentResults:
    """Texts of tools' results by session, the newest last."""

    __slots__ = ("_sessions",)

    def __init__(self) -> None:
        self._sessions: dict[Hashable, deque[str]] = {}

    def add(self, session: Hashable, result: dict[str, Any]) -> None:
        """The result of a tool, as the agent gets it."""
        text = "\n".join(_texts(result))[:MOST_CHARACTERS]
        if not text:
            return
        kept = self._sessions.pop(session, None) or deque(maxlen=MOST_RESULTS)
        kept.append(text)
        self._sessions[session] = kept
        if len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]

    def of(self, session: Hashable) -> tuple[str, ...]:
        """What is known of a session."""
        return tuple(self._sessions.get(session, ()))


def _texts(result: dict[str, Any]) -> Iterator[str]:
    content = result.get("content")
    for block in content if type(content) is list else ():
        if type(block) is dict and type(text := block.get("text")) is str:
            yield text
