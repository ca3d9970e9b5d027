"""Whatever JSON a detector answers, it is read or refused by the one exception that there is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.guardrails import Direction, ExternalOptions
from mesh.protocol.strict_json import JsonRefused, parse
from sidecar.guardrails.external.formats import FORMATS
from sidecar.guardrails.external.question import AnswerUnusable, Asking, Call, Question
from tests.support import detectors as fakes
from tests.support.detectors import NEEDLE, completion
from tests.support.fuzzing import examples

TEXTS = (f"a {NEEDLE} b", "nothing", "🎃")
KEYS = [
    *(
        "start",
        "end",
        "text",
        "detection",
        "detection_type",
        "score",
        "evidence",
        "choices",
        "message",
        "content",
    ),
    *("logprobs", "top_logprobs", "token", "logprob", "results", "flagged", "categories", "category_scores"),
    *("action", "body", "messages", "status_code", "reason", "status", "rails_status", "rail", "role"),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["safe", "unsafe\nS1", "Yes", "No", "<score> yes </score>", "blocked", "passed", *TEXTS]),
    st.text(max_size=8),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=24,
)


def all_calls(kind: str, direction: Direction) -> list[Call]:
    options = ExternalOptions(kind, "https://guard.example.com", "granite-guardian-3.3-8b")
    return FORMATS[kind](Asking(Question(TEXTS, direction, ("ground",)), options, {}))


def check(kind: str, answer: Any) -> None:
    for direction in (Direction.REQUEST, Direction.RESPONSE):
        for call in all_calls(kind, direction):
            try:
                marks = call.read(answer)
            except AnswerUnusable:
                continue
            for mark in marks:
                assert 0 <= mark.score <= 1
                assert mark.kind
                assert mark.kind == mark.kind.upper()
                assert mark.text is None or 0 <= mark.start < mark.end <= len(TEXTS[mark.text])


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=examples(150))
@given(answer=JSON)
def test_any_json_is_read_or_refused(kind: str, answer: Any) -> None:
    check(kind, answer)


def seeds(kind: str) -> list[Any]:
    """Answers as the real ones give them."""
    by_kind: dict[str, list[fakes.Detector]] = {
        "fms-contents": [fakes.fms_contents],
        "moderations": [fakes.moderations],
        "webhook": [fakes.webhook_masking, fakes.webhook_rejecting],
        "nemo": [fakes.nemo_library],
    }
    found = [
        completion("unsafe\nS1", [("unsafe", {"unsafe": 0.9, "safe": 0.1})]),
        completion("<score> yes </score>"),
    ]
    for call in all_calls(kind, Direction.REQUEST):
        path, body = call.below or call.path, json.loads(json.dumps(call.body))
        found += [fake(path, {}, body) for fake in by_kind.get(kind, [])]
    return [*found, [{"detection": "Yes", "detection_type": "risk", "score": 0.9}]]


def replaced(value: Any, draw: st.DrawFn, depth: int = 0) -> Any:
    """The value with something in it put in the place of something else, left out, or doubled."""
    if depth and draw(st.integers(0, 5)) == 0:
        return draw(JSON)
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: one for name, one in value.items() if name != key}
        return rest if draw(st.integers(0, 7)) == 0 else {**value, key: replaced(value[key], draw, depth + 1)}
    if isinstance(value, list) and value:
        at = draw(st.integers(0, len(value) - 1))
        changed = [replaced(value[at], draw, depth + 1)] * draw(st.integers(0, 2))
        return [*value[:at], *changed, *value[at + 1 :]]
    return draw(LEAVES)


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=examples(150))
@given(data=st.data())
def test_answers_that_are_nearly_right_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds(kind)))
    check(kind, replaced(seed, data.draw))


@settings(max_examples=examples(300))
@given(data=st.data())
def test_bytes_are_json_or_refused(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(FORMATS)))
    body = bytearray(json.dumps(data.draw(st.sampled_from(seeds(kind)))).encode())
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        answer = parse(bytes(body)).value
    except JsonRefused:
        return
    check(kind, answer)
