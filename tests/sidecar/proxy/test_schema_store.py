"""Schemas that are remembered: given back as they came, and never more than there is room for."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.proxy import schema_store
from sidecar.proxy.schema_store import MOST_BYTES, MOST_SCHEMA_BYTES, MOST_SERVER_BYTES, SchemaStore
from tests.support.fuzzing import examples

SCHEMA = {"type": "object", "properties": {"q": {"type": "string", "maximum": 2**80}}}


def large(bytes_: int = 30_000) -> dict[str, str]:
    return {"description": "x" * bytes_}


def test_a_schema_is_given_back_until_the_tool_has_another_or_none() -> None:
    store = SchemaStore()
    store.put("github", ("search", "inputSchema"), SCHEMA)
    store.put("github", ("search", "inputSchema"), SCHEMA)
    assert len(store) == 1
    assert store.get("github", ("search", "inputSchema")) == SCHEMA
    assert store.get("github", ("search", "outputSchema")) is None
    assert store.get("other", ("search", "inputSchema")) is None
    store.put("github", ("search", "inputSchema"), {"type": "object"})
    assert store.get("github", ("search", "inputSchema")) == {"type": "object"}
    store.put("github", ("search", "inputSchema"), None)
    assert (len(store), store.size) == (0, 0)


def test_one_that_is_too_large_is_not_kept_nor_what_was_known() -> None:
    store = SchemaStore()
    store.put("github", ("search", "inputSchema"), SCHEMA)
    store.put("github", ("search", "inputSchema"), large(MOST_SCHEMA_BYTES))
    assert store.get("github", ("search", "inputSchema")) is None
    store.put("github", ("x" * MOST_SERVER_BYTES, "inputSchema"), SCHEMA)
    assert store.size == 0


def test_a_server_keeps_its_newest_and_takes_nothing_from_others() -> None:
    store = SchemaStore()
    store.put("other", ("search", "inputSchema"), SCHEMA)
    for number in range(100):
        store.put("github", (str(number), "inputSchema"), large())
    assert store.get("github", ("0", "inputSchema")) is None
    assert store.get("github", ("99", "inputSchema")) is not None
    assert store.get("other", ("search", "inputSchema")) is not None
    assert store.size <= MOST_SERVER_BYTES + 1000


def test_all_servers_have_one_bound() -> None:
    store = SchemaStore()
    for number in range(400):
        store.put(f"server {number // 10}", (str(number), "inputSchema"), large())
    assert MOST_BYTES - 40_000 < store.size <= MOST_BYTES
    assert store.get("server 39", ("399", "inputSchema")) is not None
    assert store.get("server 0", ("0", "inputSchema")) is None


_PUTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.tuples(st.sampled_from(["x", "y", "z"]), st.just("inputSchema")),
        st.none() | st.integers(0, 40_000).map(large),
    ),
    max_size=60,
)


@settings(max_examples=examples(100), deadline=None)
@given(_PUTS)
def test_what_is_counted_is_what_is_kept(
    puts: list[tuple[str, tuple[str, str], dict[str, str] | None]],
) -> None:
    store = SchemaStore()
    for put in puts:
        store.put(*put)
    kept = [
        schema_store._size(name, encoded) for own in store._known.values() for name, encoded in own.items()
    ]
    assert store.size == sum(kept) == sum(store._sizes.values())
    assert store._known.keys() == store._sizes.keys()
