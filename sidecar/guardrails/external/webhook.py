"""agentgateway's guardrail webhook: a message passes, is rejected, or comes back with something masked.

Its answers have no tag: the first shape that fits counts, of mask, reject, pass in this order. A pass is an object
with a reason at most, so that read loosely a broken mask would be one; here it is no answer at all.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from mesh.policy.guardrails import Direction
from sidecar.guardrails.external.question import AnswerUnusable, Asking, Call, Mark, Question
from sidecar.guardrails.external.reading import a_list, a_text, an_object

REJECTED: Final = "WEBHOOK_REJECTED"
MASKED: Final = "WEBHOOK_MASKED"
_PASS: Final = frozenset({"reason"})


def calls(asking: Asking) -> list[Call]:
    """Each text as a message of its own, so that what comes back masked is known to be of which."""
    question = asking.question
    if question.direction is Direction.RESPONSE:
        choices = [{"message": {"role": "assistant", "content": text}} for text in question.texts]
        return [Call({"body": {"choices": choices}}, partial(read, question), below="/response")]
    messages = [{"role": "user", "content": text} for text in question.texts]
    return [Call({"body": {"messages": messages}}, partial(read, question), below="/request")]


def read(question: Question, answer: Any) -> list[Mark]:
    """Marks of an answer. Raises AnswerUnusable."""
    action = an_object(an_object(answer, "the answer").get("action"), "action")
    body = action.get("body")
    if type(body) is dict:
        return _masked(question, body)
    if type(body) is str:
        code = action.get("status_code")
        if type(code) is not int:
            raise AnswerUnusable("status_code is no whole number")
        return [Mark(None, 0, 0, REJECTED, 1.0)]
    if action.keys() <= _PASS:
        return []
    raise AnswerUnusable("action is neither a mask, nor a rejection, nor a pass")


def _masked(question: Question, body: dict[str, Any]) -> list[Mark]:
    answers = question.direction is Direction.RESPONSE
    name = "choices" if answers else "messages"
    marks = []
    for index, entry in enumerate(a_list(body.get(name), name, len(question.texts))):
        message = an_object(entry, "an entry")
        if answers:
            message = an_object(message.get("message"), "message")
        shown = a_text(message.get("content"), "content")
        if shown != question.texts[index]:
            marks.append(_differing(index, question.texts[index], shown))
    return marks


def _differing(index: int, text: str, shown: str) -> Mark:
    """From the first character that differs to the last; all of it where something was only put in."""
    start = _alike(text, shown)
    end = len(text) - _alike(text[start:][::-1], shown[start:][::-1])
    return Mark(index, start, end, MASKED, 1.0) if start < end else Mark(index, 0, len(text), MASKED, 1.0)


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with in common. By halves: comparing slices is fast, characters not."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
