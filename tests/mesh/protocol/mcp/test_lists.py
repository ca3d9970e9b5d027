from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.lists import Filtered, filter_result
from mesh.protocol.mcp.subjects import Subject, SubjectKind
from mesh.reasons import Reason

TOOL, PROMPT, RESOURCE, TEMPLATE = SubjectKind


def only(*names: str) -> Callable[[Subject], bool]:
    return lambda subject: subject.name in names


def run(result: dict[str, Any], *names: str, total: tuple[SubjectKind, ...] = ()) -> Filtered:
    return filter_result(result, only(*names), total=lambda kind: kind in total)


def tool(name: Any, **members: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **members}


@pytest.mark.parametrize(
    ("key", "member", "kind", "method"),
    [
        ("tools", "name", TOOL, "tools/call"),
        ("prompts", "name", PROMPT, "prompts/get"),
        ("resources", "uri", RESOURCE, "resources/read"),
        ("resourceTemplates", "uriTemplate", TEMPLATE, "resources/templates/list"),
        ("skills", "uri", RESOURCE, "skills/get"),
    ],
)
def test_what_is_not_allowed_is_taken_out(key: str, member: str, kind: SubjectKind, method: str) -> None:
    items = [{member: name, "title": name} for name in ("a", "b", "c")]
    filtered = run({key: items}, "a", "c")
    assert filtered.result == {key: [items[0], items[2]]}
    assert filtered.changed
    assert filtered.hidden == (Subject(kind, "b", method),)


def test_the_given_result_is_left_as_it_is() -> None:
    result = {"tools": [tool("a"), tool("b")], "ttlMs": 10**9, "cacheScope": "public"}
    before = copy.deepcopy(result)
    run(result, "a")
    assert result == before


def test_order_cursor_and_unknown_members_are_kept() -> None:
    result = {"_meta": {"x": 1}, "tools": [tool("b"), tool("x"), tool("a")], "nextCursor": "", "other": [1]}
    filtered = run(result, "a", "b").result
    assert list(filtered) == list(result)
    assert filtered == {**result, "tools": [tool("b"), tool("a")]}


def test_an_empty_page_keeps_its_cursor() -> None:
    assert run({"tools": [tool("a")], "nextCursor": "p2"}).result == {"tools": [], "nextCursor": "p2"}


def test_an_unchanged_result_is_the_very_same() -> None:
    result = {"tools": [tool("a")], "nextCursor": "x"}
    filtered = run(result, "a")
    assert filtered.result is result
    assert (filtered.changed, filtered.hidden) == (False, ())


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"content": [{"type": "text", "text": "x"}], "isError": False},
        {"capabilities": {"tools": {}, "resources": {}}, "protocolVersion": "2025-11-25"},
        {"resultType": "complete", "content": [], "ttlMs": 5, "cacheScope": "public"},
    ],
)
def test_results_without_lists_pass(result: dict[str, Any]) -> None:
    assert run(result).result is result


def test_several_lists_in_one_result_are_all_filtered() -> None:
    result = {"tools": [tool("a"), tool("x")], "prompts": [{"name": "x"}], "resources": [{"uri": "a"}]}
    filtered = run(result, "a")
    assert filtered.result == {"tools": [tool("a")], "prompts": [], "resources": [{"uri": "a"}]}
    assert {subject.kind for subject in filtered.hidden} == {TOOL, PROMPT}


def test_what_is_wholly_allowed_may_be_shared() -> None:
    result = {"tools": [tool("a")], "cacheScope": "public", "ttlMs": 10**9}
    assert run(result, "a", total=(TOOL,)).result is result


def test_an_item_that_is_not_allowed_is_hidden_even_where_its_kind_is_wholly_allowed() -> None:
    result = {"tools": [tool("a"), tool("\u202ea")], "cacheScope": "public", "ttlMs": 10**9}
    filtered = run(result, "a", total=(TOOL,)).result
    assert filtered == {"tools": [tool("a")], "cacheScope": "private", "ttlMs": 60_000}


@pytest.mark.parametrize(
    "item",
    [
        *[None, 1, "a", [], {}, {"title": "a"}, tool(None), tool(1), tool(["a"]), tool(""), {"uri": "a"}],
        *[tool("a", Name="x"), tool("a", NAME="x"), {"Name": "a"}],
    ],
)
def test_an_item_without_a_name_that_all_readers_agree_on_is_hidden(item: Any) -> None:
    filtered = filter_result({"tools": [tool("a"), item]}, lambda subject: True, total=lambda kind: False)
    assert filtered.result == {"tools": [tool("a")]}
    assert filtered.changed
    assert filtered.hidden == (Subject(TOOL, "", "tools/call"),)


def test_unknown_members_of_items_are_let_be() -> None:
    result = {"tools": [tool("a", vendor=1, nickname="b", Title="c", mimetype="d")]}
    assert run(result, "a").result is result


@pytest.mark.parametrize("value", [None, {}, "a", 1, {"0": {"name": "a"}}])
@pytest.mark.parametrize("key", ["tools", "prompts", "resources", "resourceTemplates"])
def test_a_list_that_is_none_is_refused(key: str, value: Any) -> None:
    with pytest.raises(McpRefused) as caught:
        run({key: value})
    assert caught.value.reason is Reason.MCP_MALFORMED


@pytest.mark.parametrize("key", ["Tools", "TOOLS", "tool\u017f", "Prompts", "resourcetemplates"])
def test_a_list_under_a_name_that_some_readers_fold_is_refused(key: str) -> None:
    others: dict[str, Any]
    for others in ({}, {"tools": []}):
        with pytest.raises(McpRefused) as caught:
            run({**others, key: [tool("x")]})
        assert caught.value.reason is Reason.MCP_MALFORMED


@pytest.mark.parametrize(
    ("ttl", "capped"),
    [
        *[(0, 0), (5000, 5000), (60_000, 60_000), (60_001, 60_000), (10**30, 60_000)],
        *[(-1, 0), (1.5, 0), ("9", 0), (None, 0), (True, 0)],
    ],
)
def test_a_filtered_list_is_private_and_short_lived(ttl: Any, capped: int) -> None:
    result = {"resultType": "complete", "tools": [tool("a")], "ttlMs": ttl, "cacheScope": "public"}
    filtered = run(result, "a")
    assert filtered.result == {**result, "ttlMs": capped, "cacheScope": "private"}
    assert filtered.changed
    assert filtered.hidden == ()


def test_a_modern_list_becomes_private_even_if_it_does_not_say_so() -> None:
    filtered = run({"resultType": "complete", "tools": []})
    assert filtered.result == {"resultType": "complete", "tools": [], "cacheScope": "private"}
    assert run(filtered.result).changed is False


def test_a_legacy_list_gets_no_members_of_another_era() -> None:
    assert run({"tools": [tool("a")]}).result == {"tools": []}


names = st.sampled_from(["a", "b", "c", "", "\u0430", "A", "a ", "a\u200b"])


@given(st.lists(names.map(tool) | st.none() | st.just({})), st.sets(names))
def test_nothing_remains_that_is_not_allowed(items: list[Any], allowed: set[str]) -> None:
    filtered = run({"tools": items}, *allowed)
    kept = filtered.result["tools"]
    assert [item["name"] for item in kept] == [
        i["name"] for i in items if i and i["name"] and i["name"] in allowed
    ]
    assert len(kept) + len(filtered.hidden) == len(items)
    assert filtered.changed == bool(filtered.hidden)
    assert run(filtered.result, *allowed).changed is False
