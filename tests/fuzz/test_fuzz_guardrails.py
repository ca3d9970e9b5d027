"""Whatever is planted anywhere in any document is found, by the detectors as they are; or it does not pass."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.content import guardrails_of
from mesh.policy.guardrails import Action, Direction
from mesh.protocol.jsonrpc import messages
from mesh.protocol.mcp.places import places_of_answer, places_of_request
from mesh.protocol.sse import SseReader
from mesh.protocol.strict_json import encode, parse
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.mask_message import mask_message
from sidecar.guardrails.slices import LENGTH
from sidecar.guardrails.vault import Vault
from tests.support.fuzzing import examples
from tests.support.guarded_messages import INJECTION, MAIL, token

TOKEN = token()
PLANTED = {MAIL: "pii", TOKEN: "secrets", INJECTION: "injection"}
WORDS = [
    *("the", "order", "was", "sent", "on", "Monday", "status", "open", "42", "items", "and", "weather"),
    *("Straße", "日本", "naïve", "a-b-c", "v1.2.3", "x=1", "(see)", "3,14", "№7"),
]


def engine(action: Action) -> Engine:
    """All detectors, with time enough."""
    whole = guardrails_of(())
    processors = tuple(replace(one, action=action, timeout=60.0) for one in whole.processors)
    return Engine(replace(whole, processors=processors, budget=60.0))


blocking = engine(Action.BLOCK)
sentences = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
benign: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9999, 9999) | sentences,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=20,
)


def strings(value: Any) -> list[tuple[Any, Any]]:
    """Where strings stand in a document."""
    entries = (
        list(value.items()) if type(value) is dict else list(enumerate(value)) if type(value) is list else []
    )
    found = [(value, key) for key, one in entries if type(one) is str]
    for _, one in entries:
        found += strings(one)
    return found


@settings(max_examples=examples(250), deadline=None)
@given(benign, sentences, sentences, st.sampled_from(sorted(PLANTED)), st.randoms(use_true_random=False))
def test_what_is_planted_in_any_document_is_found(
    value: Any, before: str, after: str, planted: str, draw: random.Random
) -> None:
    document = {"all": [value, ""]}
    holder, key = draw.choice(strings(document))
    holder[key] = f"{before}. {planted} {after}".strip(". ")
    request = {"id": 1, "method": "tools/call", "params": {"name": "t", "arguments": document}}
    answer = {"id": 1, "result": {"structuredContent": document}}
    for roots in (places_of_request(request), places_of_answer(answer, "tools/call")):
        verdict = blocking.examine(roots, Direction.REQUEST)
        assert verdict.action is Action.BLOCK
        assert PLANTED[planted] in {one.processor.name for one in verdict.findings} or verdict.failed


@settings(max_examples=examples(60), deadline=None)
@given(
    st.integers(0, 3 * LENGTH),
    st.sampled_from([MAIL, TOKEN]),
    st.sampled_from(["word ", "a b\n", "x" * 900 + " "]),
)
def test_slices_lose_nothing_wherever_they_are_cut(at: int, planted: str, filler: str) -> None:
    text = (filler * (3 * LENGTH // len(filler) + 1))[: 3 * LENGTH]
    roots = places_of_request(
        {"method": "tools/call", "params": {"arguments": {"a": f"{text[:at]} {planted} {text[at:]}"}}}
    )
    verdict = blocking.examine(roots, Direction.REQUEST)
    spans = {
        one.leaf.text[one.start : one.end]
        for one in verdict.findings
        if one.processor.name == PLANTED[planted]
    }
    assert spans == {planted} or verdict.failed


masking = Engine(
    replace(
        guardrails_of(()),
        processors=tuple(
            replace(one, action=Action.MASK, timeout=60.0)
            for one in guardrails_of(()).processors
            if one.name in ("pii", "secrets")
        ),
        budget=60.0,
    )
)


def masked(chunks: list[bytes]) -> list[bytes]:
    """The data of each event of a stream that came in these pieces, masked."""
    reader, vault, out = SseReader(), Vault(), []
    for chunk in chunks:
        for event in reader.feed(chunk):
            if event.data:
                value = parse(event.data.encode()).value
                (message,), _ = messages(value)
                verdict = masking.examine(places_of_answer(message.value, None), Direction.RESPONSE)
                mask_message(message.value, verdict, vault)
                out.append(encode(message.value))
    return out


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(sentences, min_size=1, max_size=5), st.lists(st.integers(0, 2000), max_size=8))
def test_however_a_stream_is_cut_what_is_masked_is_the_same(texts: list[str], cuts: list[int]) -> None:
    events = [
        {
            "jsonrpc": "2.0",
            "id": 1,
            "result": {"content": [{"type": "text", "text": f"{one} {MAIL} {TOKEN}"}]},
        }
        for one in texts
    ]
    stream = b"".join(b"event: message\ndata: %b\n\n" % encode(one) for one in events)
    places = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert masked(pieces) == masked([stream])
    assert all(MAIL.encode() not in one and TOKEN.encode() not in one for one in masked(pieces))
