"""What a detector is asked, and what it says: values, without HTTP and without the message they come from.

Every wire format is two pure functions on these: a question becomes calls, and an answer becomes marks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mesh.policy.guardrails import Direction, ExternalOptions


class AnswerUnusable(Exception):
    """A detector's answer is not what its format says: the detector, or the `kind` it was declared with, is at
    fault. Never read as a yes. Holds nothing of the texts."""


class Mark(NamedTuple):
    """Something a detector found, at code points `start` to `end` of the text with this index; an index of None
    is all of the texts together. `kind` is in capitals."""

    text: int | None
    start: int
    end: int
    kind: str
    score: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """The texts of a message, each once, and which way the message goes. `documents`: what tools gave before."""

    texts: tuple[str, ...]
    direction: Direction
    documents: tuple[str, ...] = ()

    @property
    def joined(self) -> str:
        """All texts as one, for those who judge a message as a whole."""
        return "\n".join(self.texts)

    def whole(self, index: int, kind: str, score: float, note: str = "") -> Mark:
        """All of one text."""
        return Mark(index, 0, len(self.texts[index]), kind, score, note)


Fields = tuple[tuple[bytes, bytes], ...]


class Call(NamedTuple):
    """One HTTP request. `path` is asked where the URL has none; `below` stands after the URL's path in any case.

    `read` makes marks of the JSON of an answer, and raises AnswerUnusable.
    """

    body: Mapping[str, Any]
    read: Callable[[Any], list[Mark]]
    path: str = "/"
    headers: Fields = ()
    below: str = ""


class Asking(NamedTuple):
    """What a format makes calls of. `parameters` is the object that is sent along."""

    question: Question
    options: ExternalOptions
    parameters: Mapping[str, Any]


Format = Callable[[Asking], list[Call]]
"""Makes the calls of one question; none where there is nothing to ask."""

THE_AGENT_ASKED: Final = "What did the tool return?"
"""Stands for the user's turn where only an answer is judged: chat templates insist on a user who speaks first."""


def turns(question: Question, text: str, *, answer: bool | None = None) -> list[dict[str, str]]:
    """The message as a conversation whose last turn is judged: the user's on the way out, else the assistant's."""
    answers = question.direction is Direction.RESPONSE if answer is None else answer
    if not answers:
        return [{"role": "user", "content": text}]
    return [{"role": "user", "content": THE_AGENT_ASKED}, {"role": "assistant", "content": text}]
