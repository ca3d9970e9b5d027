"""JSON-RPC classification of arbitrary JSON: only JsonRpcRefused escapes, and kinds exclude each other."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol.jsonrpc import JsonRpcRefused, Kind, messages
from tests.support.fuzzing import examples

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
IDS: list[Any] = [1, 0, "", "a", 1.0, None, True, [], {}, 2**70]
near_messages = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | values},
    optional={
        "id": st.sampled_from(IDS),
        "method": st.sampled_from(["tools/call", "ping", "", 1, None]),
        "params": values,
        "result": values,
        "error": values,
        "Method": values,
        "extra": values,
    },
)
MEMBERS = {
    Kind.REQUEST: ({"method", "id"}, {"result", "error"}),
    Kind.NOTIFICATION: ({"method"}, {"id", "result", "error"}),
    Kind.RESULT: ({"result", "id"}, {"method", "error"}),
    Kind.ERROR: ({"error"}, {"method", "result"}),
}


@settings(max_examples=examples(500), deadline=None)
@given(near_messages | st.lists(near_messages, max_size=4) | values)
def test_each_message_is_of_exactly_one_kind(value: Any) -> None:
    try:
        found, is_batch = messages(value, max_batch=3)
    except JsonRpcRefused:
        return
    assert is_batch is isinstance(value, list)
    assert [message.value for message in found] == (value if is_batch else [value])
    for message in found:
        present, absent = MEMBERS[message.kind]
        assert present <= message.value.keys()
        assert not absent & message.value.keys()
        assert type(message.id) in (int, str, type(None))
        assert message.id == message.value.get("id")
        assert message.params is None or isinstance(message.params, dict | list)
        assert isinstance(message.method, str) == (message.kind in (Kind.REQUEST, Kind.NOTIFICATION))
