"""Signs are read of whatever anybody sends: nothing is raised, and what is found is bounded and was there."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol.signs import LONGEST, MOST, Signs, signs_of, signs_of_raw
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.protocol.traceparent import trace_id
from tests.support.fuzzing import examples

TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
MEMBERS = [
    "params",
    "result",
    "message",
    "task",
    "tasks",
    "method",
    "kind",
    "status",
    "id",
    "_meta",
    "traceparent",
]
SPELLINGS = ["contextId", "taskId", "context_id", "task_id", "statusUpdate", "artifact_update"]
KEYS = st.sampled_from([*MEMBERS, *SPELLINGS])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["tasks/get", "GetTask", "task", TRACEPARENT.decode(), "x" * 300])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
SEEDS = (
    b'{"jsonrpc":"2.0","id":1,"method":"message/send","params":{"message":{"contextId":"c","taskId":"t"}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"t"}}',
    b'{"jsonrpc":"2.0","id":1,"result":{"kind":"task","id":"t","contextId":"c","status":{"state":"working"}}}',
    b'{"message":{"contextId":"c","taskId":"t"},"task":{"id":"t"}}',
    b'[{"params":{"_meta":{"traceparent":"' + TRACEPARENT + b'"}}}]',
)
FIELDS = st.dictionaries(
    st.sampled_from([b"traceparent", b"mcp-session-id"]), st.binary(max_size=300) | st.just(TRACEPARENT)
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(body)


def check(signs: Signs) -> None:
    for trace in (signs.trace, *signs.other_traces):
        assert trace is None or re.fullmatch("[0-9a-f]{32}", trace)
    assert signs.session is None or (1 <= len(signs.session) <= LONGEST and signs.session.isascii())
    assert len(signs.contexts) <= MOST
    assert len(signs.other_traces) <= MOST
    assert all(isinstance(context, str) and 1 <= len(context) <= LONGEST for context in signs.contexts)
    assert len({signs.trace, *signs.other_traces}) == 1 + len(signs.other_traces)


@settings(max_examples=examples(300))
@given(FIELDS, VALUES)
def test_any_value_has_the_same_signs_parsed_and_as_text(fields: dict[bytes, bytes], body: Any) -> None:
    signs = signs_of(fields, body)
    check(signs)
    text = json.dumps(body, ensure_ascii=False).encode()
    assert signs_of_raw(fields, text) == signs
    assert all(json.dumps(context, ensure_ascii=False).encode() in text for context in signs.contexts)


@settings(max_examples=examples(300))
@given(FIELDS, mutated() | st.binary(max_size=100))
def test_any_bytes_can_be_looked_at(fields: dict[bytes, bytes], body: bytes) -> None:
    signs = signs_of_raw(fields, body)
    check(signs)
    try:
        assert signs == signs_of(fields, parse(body).value)
    except JsonRefused:
        assert signs == signs_of(fields)


@settings(max_examples=examples(300))
@given(st.binary(max_size=70) | st.binary(max_size=5).map(lambda end: TRACEPARENT + end))
def test_a_trace_id_stands_where_it_has_to(value: bytes) -> None:
    found = trace_id(value)
    assert found is None or (value[3:35].decode() == found and value[2:3] == value[35:36] == b"-")
