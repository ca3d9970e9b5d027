"""Whatever a caller of our detector server asks, it is answered or refused by the one exception that there is."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cli.guard import detector_api, webhook_api
from cli.guard.detector_api import Refused
from cli.guard.examiner import DEFAULT, Examiner
from mesh.policy.guardrails import Action, DetectorKind, Guardrails, PiiOptions, Processor, TermsOptions
from tests.support.detectors import patient
from tests.support.fuzzing import examples

KEYS = [
    *("contents", "detector_params", "detectors", "kinds", "threshold", "messages", "tools", "prompt"),
    *("generated_text", "body", "choices", "message", "role", "content", "text", "type"),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["pii", "EMAIL", "user", "ann@example.com", "\x1f", "🎃 ann@example.com heron"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=20,
)
TALK = st.lists(st.fixed_dictionaries({"role": JSON, "content": JSON}), max_size=3)
QUESTION = st.one_of(
    JSON,
    st.fixed_dictionaries({"contents": st.lists(LEAVES, max_size=4), "detector_params": JSON}),
    st.fixed_dictionaries({"messages": TALK, "tools": JSON}),
    st.fixed_dictionaries({"prompt": LEAVES, "generated_text": LEAVES}),
    st.fixed_dictionaries({"body": st.fixed_dictionaries({"messages": TALK})}),
    st.fixed_dictionaries(
        {"body": st.fixed_dictionaries({"choices": st.lists(st.fixed_dictionaries({"message": JSON}))})}
    ),
)


@cache
def examiners() -> tuple[Examiner, Examiner]:
    """One that flags, and one that masks and blocks."""
    masks = tuple(
        Processor(kind.value, kind, action, options)
        for kind, action, options in (
            (DetectorKind.PII, Action.MASK, PiiOptions()),
            (DetectorKind.TERMS, Action.BLOCK, TermsOptions(("heron",))),
        )
    )
    return Examiner(patient(DEFAULT)), Examiner(patient(Guardrails(masks)))


@settings(max_examples=examples(400))
@given(question=QUESTION)
def test_any_question_is_answered_or_refused(question: Any) -> None:
    for examiner in examiners():
        for answer in (
            lambda one, asked: list(detector_api.contents(one, asked)),
            detector_api.chat,
            detector_api.generation,
            webhook_api.request,
            webhook_api.response,
        ):
            try:
                said = answer(examiner, json.loads(json.dumps(question)))
            except Refused:
                continue
            json.dumps(said, allow_nan=False)


@settings(max_examples=examples(200))
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["🎃 ann@example.com", "\x1f"])
    )
)
def test_spans_are_of_the_texts_that_were_sent(texts: list[str]) -> None:
    rows = list(detector_api.contents(examiners()[0], {"contents": texts}))
    assert len(rows) == len(texts)
    for text, found in zip(texts, rows, strict=True):
        for one in found:
            assert one["text"] == text[one["start"] : one["end"]]
            assert 0 <= one["start"] < one["end"] <= len(text)
            assert 0 <= one["score"] <= 1
