"""Any JSON at all as a message: its places and texts are found, and looked at without an error."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.guardrails import Action, DetectorKind, Direction, Guardrails, Processor, TermsOptions
from mesh.protocol.mcp.methods import METHODS
from mesh.protocol.mcp.places import places_of_answer, places_of_request
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.hit import Hit
from sidecar.guardrails.leaves import Sheet
from tests.support.fuzzing import examples

words = st.sampled_from(
    [
        *("name", "uri", "ref", "type", "arguments", "content", "data", "image", "text", "blob", "resource"),
        *(
            "tools",
            "messages",
            "contents",
            "result",
            "error",
            "task",
            "tasks",
            "inputRequests",
            "inputResponses",
        ),
        *("_meta", "params", "method", "role", "structuredContent", "NEEDLE", "aNEEDLEb", "TkVFRExF"),
    ]
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | words
    | st.text(max_size=5)
    | st.just("NEEDLE" * 300)
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)
messages = st.dictionaries(
    st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"]) | words, values, max_size=6
)


class Needles:
    name = "terms"

    def scan(self, text: str) -> list[Hit]:
        at = text.find("NEEDLE")
        return [Hit("NEEDLE", at, at + 6)] if at >= 0 else []


engine = Engine(
    Guardrails((Processor("all", DetectorKind.TERMS, Action.FLAG, TermsOptions(("x",))),), budget=60.0),
    detector=lambda kind, options: Needles(),
)


@settings(max_examples=examples(400), deadline=None)
@given(messages, st.none() | st.sampled_from(sorted(METHODS)))
def test_any_message_is_looked_at(message: dict[str, Any], asked: str | None) -> None:
    for roots in (places_of_request(message), places_of_answer(message, asked)):
        sheet = Sheet(roots)
        assert len(sheet.leaves(range(len(sheet)))) == len(sheet)
        verdict = engine.examine(roots, Direction.REQUEST)
        assert not verdict.failed
        if "NEEDLE" in sheet.text:
            assert verdict.findings
        for one in verdict.findings:
            assert 0 <= one.start < one.end <= len(one.leaf.text)


@settings(max_examples=examples(100), deadline=None)
@given(messages)
def test_a_needle_in_any_text_is_in_the_sheet(message: dict[str, Any]) -> None:
    rest = {name: value for name, value in message.items() if name != "jsonrpc"}
    values_only = json.dumps(rest, default=str)
    if '"NEEDLE"' in values_only.replace('"NEEDLE":', ""):
        assert "NEEDLE" in Sheet(places_of_request(message)).text
        assert "NEEDLE" in Sheet(places_of_answer(message, None)).text
