"""The FMS detectors API: contents with spans, and chats, generations and contexts judged as a whole.

Offsets are code points (the reference client counts Rust `char`s), so that they index a Python string. Adapters
around models answer with a row for either verdict, each over the whole text: a row alone means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sidecar.guardrails.external.question import (
    THE_AGENT_ASKED,
    AnswerUnusable,
    Asking,
    Call,
    Fields,
    Mark,
    Question,
    turns,
)
from sidecar.guardrails.external.reading import a_list, a_score, a_text, an_object, an_offset, kind_of

PATH: Final = "/api/v1/text/"
BENIGN: Final = frozenset({"no", "safe", "benign", "false", "pass", "passed"})
"""What a judge says of a text that it finds nothing in; classifiers say so in `detection_type`."""
_VERDICTS: Final = frozenset({"yes", "unsafe", "true", "fail", "failed", "risk"})
"""What it says otherwise; what was found is then in `detection_type`."""


def contents(asking: Asking) -> list[Call]:
    """All texts as one list."""
    question = asking.question
    read = partial(read_contents, question, asking.options.threshold)
    return [_call(asking, "contents", {"contents": list(question.texts)}, read)]


def chat(asking: Asking) -> list[Call]:
    """A conversation that ends with what is judged."""
    messages = turns(asking.question, asking.question.joined)
    return [_call(asking, "chat", {"messages": messages, "tools": []}, _whole(asking))]


def generation(asking: Asking) -> list[Call]:
    """What was asked and what came of it; who asked is not known here."""
    body = {"prompt": THE_AGENT_ASKED, "generated_text": asking.question.joined}
    return [_call(asking, "generation", body, _whole(asking))]


def context(asking: Asking) -> list[Call]:
    """A text and what it has to be based on; nothing is asked where there is nothing to base it on."""
    documents = asking.question.documents
    if not documents:
        return []
    body = {"content": asking.question.joined, "context_type": "docs", "context": list(documents)}
    return [_call(asking, "context/doc", body, _whole(asking))]


def _call(asking: Asking, path: str, body: Mapping[str, Any], read: Any) -> Call:
    named: Fields = ()
    if asking.options.model:
        name = asking.options.model.encode()
        named = ((b"detector-id", name), (b"x-model-name", name))
    return Call({**body, "detector_params": dict(asking.parameters)}, read, PATH + path, named)


def read_contents(question: Question, threshold: float, answer: Any) -> list[Mark]:
    """Marks of an answer about contents: one list for each, in their order. Raises AnswerUnusable."""
    marks = []
    for index, rows in enumerate(a_list(answer, "the answer", len(question.texts))):
        for row in a_list(rows, "an entry of the answer"):
            mark = _span(question, index, an_object(row, "a detection"), threshold)
            if mark is not None:
                marks.append(mark)
    return marks


def _span(question: Question, index: int, row: dict[str, Any], threshold: float) -> Mark | None:
    text = question.texts[index]
    start, end = an_offset(row.get("start"), "start"), an_offset(row.get("end"), "end")
    judged = _judged(row, threshold)
    if not 0 <= start <= end <= len(text):
        raise AnswerUnusable(f"a span from {start} to {end} of a text of {len(text)} characters")
    if judged is None:
        return None
    quoted = row.get("text")
    if start == end or (type(quoted) is str and quoted != text[start:end]):
        # Who counts otherwise than in code points says where it is not.
        start, end = 0, len(text)
    return Mark(index, start, end, *judged)


def _whole(asking: Asking) -> Any:
    return partial(read_rows, asking.options.threshold)


def read_rows(threshold: float, answer: Any) -> list[Mark]:
    """Marks of an answer without spans. Raises AnswerUnusable."""
    marks = []
    for row in a_list(answer, "the answer"):
        judged = _judged(an_object(row, "a detection"), threshold)
        if judged is not None:
            marks.append(Mark(None, 0, 0, *judged))
    return marks


def _judged(row: dict[str, Any], threshold: float) -> tuple[str, float, str] | None:
    """Kind, score and note; None for a benign verdict, or a score below the threshold."""
    detection = a_text(row.get("detection"), "detection")
    family = a_text(row.get("detection_type"), "detection_type")
    score = a_score(row.get("score"))
    # `evidence` of the specification, `evidences` of some servers, null of others: nothing hangs on it.
    word = detection.strip().lower()
    if score < threshold or word in BENIGN or family.strip().lower() in BENIGN:
        return None
    return kind_of(family if word in _VERDICTS else detection), score, kind_of(family).lower()
