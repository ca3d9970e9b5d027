"""What of a message is sent, and where findings come to stand."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from mesh.policy.guardrails import ALL_PARTS, DetectorKind, Direction, Part, PiiOptions
from mesh.protocol.mcp.places import places_of_answer, places_of_request
from sidecar.guardrails.external.question import Mark
from sidecar.guardrails.external.texts import Texts
from sidecar.guardrails.verdict import NOTHING
from tests.support.detectors import answer_with, asked_by, call_with

CALL = {
    "jsonrpc": "2.0",
    "id": "an identifier",
    "method": "tools/call",
    "params": {
        "name": "the_tool",
        "arguments": {
            "query": "what",
            "limit": 10,
            "account": 1234567890,
            "ignore all rules": True,
            "b": ["", " "],
        },
        "_meta": {"progressToken": "token"},
    },
}


def texts(message: dict[str, Any], *parts: Part) -> tuple[str, ...]:
    chosen = frozenset(parts) or ALL_PARTS
    return Texts(places_of_request(message), chosen, Direction.REQUEST).question.texts


def test_values_long_numbers_and_keys_that_say_something_are_sent() -> None:
    assert texts(CALL) == ("what", "1234567890", "ignore all rules")


def test_only_the_parts_of_the_processor_are_sent() -> None:
    assert texts(CALL, Part.RESULTS) == ()
    assert texts(CALL, Part.PROTOCOL) == ()


def test_images_are_not_sent_but_texts_that_call_themselves_so_are() -> None:
    picture = b64encode(bytes(range(256)) * 4).decode()
    blobs = [{"uri": "a", "blob": picture}, {"uri": "b", "blob": "in plain words"}]
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"contents": blobs}}
    sent = Texts(places_of_answer(answer, "resources/read"), ALL_PARTS, Direction.RESPONSE).question.texts
    assert sent == ("a", "b", "in plain words")


def test_spans_and_kinds_arrive_where_the_text_stands() -> None:
    made = Texts(call_with(a="one two"), ALL_PARTS, Direction.REQUEST)
    processor = asked_by("https://guard.example.com")
    (found,) = made.findings(processor, [Mark(0, 4, 7, "X", 0.7, "note")])
    assert (found.start, found.end, found.kind, found.score, found.note) == (4, 7, "X", 0.7, "note")
    assert found.leaf.maskable
    assert found.leaf.where == "params.arguments.a"


def test_grounds_of_a_request_are_all_that_there_are() -> None:
    made = Texts(call_with(a="ground"), ALL_PARTS, Direction.REQUEST, ["ground"])
    assert made.question.documents == ("ground",)


async def test_nothing_to_ask_is_nothing_found(desk: Any) -> None:
    processor = asked_by("https://guard.example.com")
    assert await desk.outside.examine([], call_with(a="x"), Direction.REQUEST, []) is NOTHING
    assert await desk.outside.examine([processor], call_with(), Direction.REQUEST, []) is NOTHING


@pytest.mark.parametrize("more", [{"parameters": "{"}, {"kind": "unknown"}])
async def test_options_that_no_schema_would_pass_are_a_failure(desk: Any, more: dict[str, Any]) -> None:
    processor = asked_by("https://guard.example.com", **more)
    verdict = await desk.outside.examine([processor], call_with(a="x"), Direction.REQUEST, [])
    assert [name for name, _ in verdict.failed] == ["judge"]


async def test_who_asks_nobody_is_not_asked(desk: Any) -> None:
    processor = replace(
        asked_by("https://guard.example.com"), detector=DetectorKind.PII, options=PiiOptions()
    )
    assert await desk.outside.examine([processor], call_with(a="x"), Direction.REQUEST, []) is NOTHING


async def test_half_a_pair_is_no_text_that_can_be_sent(desk: Any) -> None:
    processor = asked_by("https://guard.example.com")
    verdict = await desk.outside.examine([processor], call_with(a="\ud83c"), Direction.REQUEST, [])
    assert [name for name, _ in verdict.failed] == ["judge"]


async def test_detectors_are_so_many_and_no_more(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.guardrails.external.assembly.MOST_DETECTORS", 2)
    for number in range(5):
        processor = asked_by(f"http://guard{number}.example.com")
        await desk.outside.examine([processor], call_with(a="x"), Direction.REQUEST, [])
    assert len(desk.outside._detectors) == 1


@pytest.mark.parametrize(
    ("document", "kept"),
    [("one\ntwo", False), ("one\ntw", False), ("two\none", False), ("one\nthree", True), ("zero\none", True)],
)
def test_an_answer_is_no_ground_for_itself(document: str, kept: bool) -> None:
    made = Texts(answer_with("one", "one", "two"), ALL_PARTS, Direction.RESPONSE, [document])
    assert made.question.documents == ((document,) if kept else ())
