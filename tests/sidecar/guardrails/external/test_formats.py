"""What each format's answers mean, without HTTP: one table of what is easily misread."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from mesh.policy.guardrails import Direction, ExternalOptions
from sidecar.guardrails.external.formats import FORMATS
from sidecar.guardrails.external.question import AnswerUnusable, Asking, Call, Question
from sidecar.guardrails.external.reading import kind_of
from tests.support.detectors import completion

TEXTS = ("one 🎃 text", "another")


def calls(kind: str, *, direction: Direction = Direction.REQUEST, **more: Any) -> list[Call]:
    options = ExternalOptions(kind, "https://guard.example.com", **more)
    question = Question(TEXTS, direction, ("what was read",))
    return FORMATS[kind](Asking(question, options, json.loads(options.parameters)))


def found(kind: str, answer: Any, **more: Any) -> list[tuple[str, float]]:
    return [(mark.kind, round(mark.score, 3)) for mark in calls(kind, **more)[0].read(answer)]


def row(**changed: Any) -> dict[str, Any]:
    return {"detection": "Yes", "detection_type": "risk", "score": 0.9, **changed}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([], []),
        ([row()], [("RISK", 0.9)]),
        ([row(), row(detection="No", score=0.9)], [("RISK", 0.9)]),
        ([row(detection="No", score=0.98)], []),
        ([row(score=0.49)], []),
        ([row(detection="sequence_classification", detection_type="SAFE")], []),
        ([row(score=0.5)], [("RISK", 0.5)]),
        (
            [row(detection="unsafe", detection_type="jailbreak", evidences=[{"name": "x"}])],
            [("JAILBREAK", 0.9)],
        ),
        ([row(detection="has_HAP", evidence=None)], [("HAS_HAP", 0.9)]),
        ([row(score=1.0000001)], [("RISK", 1.0)]),
    ],
)
def test_rows_of_an_adapter_count_by_verdict_and_score(answer: Any, expected: Any) -> None:
    assert found("fms-chat", answer) == expected


def test_spans_in_another_unit_are_taken_for_the_whole_text() -> None:
    said = [[{**row(), "start": 6, "end": 10, "text": "text"}], []]
    (mark,) = calls("fms-contents")[0].read(said)
    assert TEXTS[0][mark.start : mark.end] == "text"
    said[0][0] |= {"start": 8, "end": 10, "text": "text"}
    (mark,) = calls("fms-contents")[0].read(said)
    assert (mark.start, mark.end) == (0, len(TEXTS[0]))
    said[0][0] |= {"start": 3, "end": 3, "text": ""}
    (mark,) = calls("fms-contents")[0].read(said)
    assert (mark.start, mark.end) == (0, len(TEXTS[0]))


def test_spans_may_overlap() -> None:
    said = [[], [{**row(detection=name), "start": start, "end": 5} for name, start in (("A", 0), ("B", 2))]]
    assert [(one.text, one.start, one.kind) for one in calls("fms-contents")[0].read(said)] == [
        *((1, 0, "A"), (1, 2, "B"))
    ]


SAFE = {"safe": 0.98, "unsafe": 0.02}


@pytest.mark.parametrize(
    ("answer", "more", "expected"),
    [
        (completion("safe"), {}, []),
        (completion("safe"), {"threshold": 0}, []),
        (completion("\n\nunsafe\nS14"), {}, [("LLAMA_GUARD_S14", 1.0)]),
        (completion("Unsafe\n S1 , s9"), {}, [("LLAMA_GUARD_S1", 1.0), ("LLAMA_GUARD_S9", 1.0)]),
        (completion("unsafe"), {}, [("LLAMA_GUARD_UNSAFE", 1.0)]),
        (completion("unsafe"), {"criteria": ("S1",)}, [("LLAMA_GUARD_UNSAFE", 1.0)]),
        (completion("unsafe\nS2"), {"criteria": ("S1",)}, []),
        (completion("unsafe\nS2", [("unsafe", {"unsafe": 0.6, "safe": 0.4})]), {"threshold": 0.7}, []),
        (
            completion("safe", [("safe", {"safe": 0.6, "unsafe": 0.4})]),
            {"threshold": 0.3},
            [("LLAMA_GUARD_UNSAFE", 0.4)],
        ),
        # The unsafe word came in two tokens: what is said of the safe one says nothing.
        (
            completion("unsafe\nS2", [("uns", {"uns": 0.9, "safe": 0.1}), ("afe", {"afe": 1.0})]),
            {},
            [("LLAMA_GUARD_S2", 1.0)],
        ),
        (completion("unsafe", [("unsafe", {})]), {}, [("LLAMA_GUARD_UNSAFE", 1.0)]),
        (completion("safe\nbecause unsafe", [("safe", SAFE)]), {}, []),
    ],
)
def test_llama_guard(answer: Any, more: Any, expected: Any) -> None:
    assert found("llama-guard", answer, model="g", **more) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("llama-guard", "unsafely"),
        ("llama-guard", "The text is safe"),
        ("llama-guard", ""),
        ("llama-guard", "I cannot help with that."),
        ("shieldgemma", "Yesterday"),
        ("shieldgemma", ""),
        ("granite-guardian", "maybe"),
        ("granite-guardian", "<score> perhaps </score>"),
        ("granite-guardian", ""),
    ],
)
def test_a_judge_that_says_something_else_has_not_judged(kind: str, text: str) -> None:
    with pytest.raises(AnswerUnusable):
        calls(kind, model="g")[0].read(completion(text))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (completion("Yes"), [("SHIELDGEMMA_HATE", 1.0)]),
        (completion("No, because Yes"), []),
        (completion("Yes.", [("Yes", {"Yes": 0.6, "No": 0.2, " yes": 0.2})]), [("SHIELDGEMMA_HATE", 0.8)]),
        # Only the first token is the verdict.
        (completion("No Yes", [("No", {"No": 0.9, "Yes": 0.1}), ("Yes", {"Yes": 1.0})]), []),
    ],
)
def test_shieldgemma(answer: Any, expected: Any) -> None:
    assert found("shieldgemma", answer, model="g", criteria=("hate",)) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (completion("Yes"), [("GRANITE_HARM", 1.0)]),
        (completion("No\n<confidence> High </confidence>"), []),
        (completion("Yes\n<confidence> Low </confidence>"), [("GRANITE_HARM", 0.65)]),
        (completion("<think>Yes? <score> yes </score></think><score> no </score>"), []),
        (completion("<score> YES </score>"), [("GRANITE_HARM", 1.0)]),
        (completion("Yes", [("Yes", {"Yes": 0.7, "No": 0.3})]), [("GRANITE_HARM", 0.7)]),
        (
            completion(
                "<think>no</think><score> yes </score>",
                [("no", {"no": 1.0}), (" yes", {" yes": 0.6, " no": 0.4})],
            ),
            [("GRANITE_HARM", 0.6)],
        ),
        (completion("<score> yes </score>", [(" no", {" no": 1.0})]), [("GRANITE_HARM", 1.0)]),
    ],
)
def test_granite_guardian(answer: Any, expected: Any) -> None:
    assert found("granite-guardian", answer, model="granite-guardian-3.3-8b") == expected


@pytest.mark.parametrize(
    "spoiled", [{"choices": []}, {"choices": [{"message": {"content": None}}]}, {"choices": [None]}, {}]
)
def test_completions_without_a_text_are_no_answers(spoiled: Any) -> None:
    with pytest.raises(AnswerUnusable):
        calls("llama-guard", model="g")[0].read(spoiled)


@pytest.mark.parametrize("log", ["-0.1", None, 3, True, []])
def test_log_probabilities_have_to_be_some(log: Any) -> None:
    said = completion("safe", [("safe", SAFE)])
    said["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"] = log
    with pytest.raises(AnswerUnusable):
        calls("llama-guard", model="g")[0].read(said)


def test_servers_without_log_probabilities_may_say_so_in_any_way() -> None:
    for logprobs in (
        None,
        {"content": None},
        {"content": []},
        {"content": [{"token": "safe", "top_logprobs": None}]},
    ):
        said = completion("safe")
        said["choices"][0]["logprobs"] = logprobs
        assert found("llama-guard", said, model="g") == []


def result(**changed: Any) -> dict[str, Any]:
    return {"flagged": False, "categories": {"hate": False}, "category_scores": {"hate": 0.1}, **changed}


@pytest.mark.parametrize(
    ("first", "more", "expected"),
    [
        (result(), {}, []),
        (result(category_scores={"hate": 0.5}), {}, [("MODERATION_HATE", 0.5)]),
        (result(categories={"hate": True}), {}, [("MODERATION_HATE", 0.1)]),
        (result(categories={"hate": True}), {"criteria": ("violence",)}, []),
        (result(categories={"illicit": None}, category_scores={"illicit": None}), {}, []),
        (result(flagged=True), {}, [("MODERATION_FLAGGED", 1.0)]),
        (result(flagged=True, categories={}), {}, [("MODERATION_FLAGGED", 1.0)]),
    ],
)
def test_moderations(first: Any, more: Any, expected: Any) -> None:
    assert found("moderations", {"results": [first, result()]}, **more) == expected


@pytest.mark.parametrize(
    "spoiled",
    [
        {"results": [result()]},
        {"results": [result(flagged=None), result()]},
        {"results": [result(categories={"hate": 1}), result()]},
        {"results": [result(category_scores={"hate": "0.1"}), result()]},
        {"error": {"message": "no key"}},
    ],
)
def test_moderations_that_are_none(spoiled: Any) -> None:
    with pytest.raises(AnswerUnusable):
        calls("moderations")[0].read(spoiled)


def said(*contents: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content} for content in contents]


@pytest.mark.parametrize(
    ("action", "spans"),
    [
        ({}, []),
        ({"reason": "fine"}, []),
        ({"body": {"messages": said(*TEXTS)}}, []),
        ({"body": {"messages": said("one [X] text", "another")}, "status_code": 403}, [(0, 4, 5)]),
        ({"body": {"messages": said("one 🎃🎃 text", "an")}}, [(0, 0, 10), (1, 2, 7)]),
        ({"body": "no", "status_code": 403}, [(None, 0, 0)]),
        ({"body": {"messages": said("", "another")}, "reason": "x"}, [(0, 0, 10)]),
    ],
)
def test_a_webhook_masks_rejects_or_passes(action: Any, spans: Any) -> None:
    marks = calls("webhook")[0].read({"action": action})
    assert [(one.text, one.start, one.end) for one in marks] == spans


@pytest.mark.parametrize(
    "action",
    [
        None,
        "pass",
        {"body": {"messages": said("one")}},
        {"body": {"choices": []}},
        {"body": {"messages": [{"role": "user", "content": [{"type": "text"}]}] * 2}},
        {"body": "no"},
        {"body": None, "status_code": 403},
        {"status_code": 403},
        {"Mask": {"reason": "x"}},
    ],
)
def test_a_broken_mask_or_rejection_is_no_pass(action: Any) -> None:
    with pytest.raises(AnswerUnusable):
        calls("webhook")[0].read({"action": action})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "passed", "content": "x", "rail": None}, []),
        ({"status": "success", "rails_status": {"a": {"status": "success"}}}, []),
        ({"status": "modified", "content": "y", "rail": None}, [("NEMO_MODIFIED", 1.0)]),
        ({"status": "blocked", "rail": "self check input"}, [("NEMO_SELF_CHECK_INPUT", 1.0)]),
        ({"status": "blocked", "rails_status": {"a b": {"status": "blocked"}, "c": {}}}, [("NEMO_A_B", 1.0)]),
    ],
)
def test_nemo(answer: Any, expected: Any) -> None:
    assert found("nemo", answer) == expected


@pytest.mark.parametrize(
    "spoiled", [{}, {"status": "error"}, {"status": None}, {"status": "blocked", "rails_status": []}]
)
def test_nemo_that_does_not_say_how_it_went(spoiled: Any) -> None:
    with pytest.raises(AnswerUnusable):
        calls("nemo")[0].read(spoiled)


def test_parameters_are_sent_along_but_do_not_say_who_judges_what() -> None:
    parameters = (
        '{"temperature": 1, "messages": [], "model": "x", "chat_template_kwargs": {"think": true, "a": 1}}'
    )
    (call,) = calls("granite-guardian", model="granite-guardian-3.3-8b", parameters=parameters)
    assert call.body["chat_template_kwargs"] == {
        "guardian_config": {"criteria_id": "harm"},
        "think": True,
        "a": 1,
    }
    assert (call.body["temperature"], call.body["model"]) == (1, "granite-guardian-3.3-8b")
    assert call.body["messages"] == [{"role": "user", "content": "one 🎃 text\nanother"}]
    (call,) = calls("fms-contents", parameters='{"regex": ["email"]}')
    assert call.body == {"contents": list(TEXTS), "detector_params": {"regex": ["email"]}}


def test_moderations_name_a_model_where_there_is_one() -> None:
    assert "model" not in calls("moderations")[0].body
    assert calls("moderations", model="omni-moderation-latest")[0].body["model"] == "omni-moderation-latest"


def test_shieldgemma_takes_policies_in_words_of_ones_own() -> None:
    (call,) = calls("shieldgemma", model="g", criteria=("Nobody speaks of <end_of_turn>pumpkins.",))
    prompt = call.body["messages"][0]["content"]
    assert '* "Own Policy": Nobody speaks of  pumpkins.' in prompt
    assert call.read(completion("Yes"))[0].kind == "SHIELDGEMMA_POLICY"


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("granite3-guardian:8b", {"guardian_config": {"risk_name": "groundedness"}}),
        ("granite-guardian-3.2-5b", {"guardian_config": {"risk_name": "groundedness"}}),
        (
            "granite-guardian-3.3-8b",
            {
                "guardian_config": {"criteria_id": "groundedness"},
                "think": False,
                "documents": [{"doc_id": "1", "text": "what was read"}],
            },
        ),
        ("granite-guardian-4.1-8b", {"documents": [{"doc_id": "1", "text": "what was read"}]}),
    ],
)
def test_what_has_to_be_grounded_is_what_the_agent_says(model: str, asked: Any) -> None:
    (call,) = calls("granite-guardian", model=model, criteria=("groundedness",))
    assert call.body["chat_template_kwargs"] == asked
    roles = [one["role"] for one in call.body["messages"]]
    assert "assistant" in roles
    assert roles[-1] == ("user" if "4.1" in model else "assistant")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("EmailAddress", "EMAIL_ADDRESS"),
        ("self-harm/intent", "SELF_HARM_INTENT"),
        ("LABEL_1", "LABEL_1"),
        ("US SSN", "US_SSN"),
        ("HTTPServer", "HTTP_SERVER"),
        ("🎃", "DETECTED"),
        ("x" * 1000, "X" * 64),
    ],
)
def test_kinds_are_names_in_capitals(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_the_score_is_of_all_tokens_that_were_written() -> None:
    tokens = [("unsafe", {"unsafe": 0.5, "safe": 0.25}), ("x", {"SAFE ": 0.25})]
    ((_, score),) = found("llama-guard", completion("unsafe", tokens), model="g")
    assert math.isclose(score, 0.5)


def test_what_is_nearly_impossible_is_impossible() -> None:
    said = completion("safe", [("safe", SAFE)])
    said["choices"][0]["logprobs"]["content"][0]["top_logprobs"][1]["logprob"] = -(10**400)
    assert found("llama-guard", said, model="g") == []
