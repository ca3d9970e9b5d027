"""Digests of tools: blind to the order of members, and to nothing else that is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.pins.digest import definition, set_digest, tool_digest

TOOL: dict[str, Any] = {
    "name": "get_issue",
    "title": "Get an issue",
    "description": "Reads one issue.",
    "inputSchema": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
    "outputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
}


def reversed_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_members(value[key]) for key in reversed(value)}
    return value


def test_order_and_white_space_do_not_count() -> None:
    spaced = json.loads(json.dumps(reversed_members(TOOL), indent=3))
    assert tool_digest(spaced) == tool_digest(TOOL)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "get_issues"},
        {"title": "Get an  issue"},
        {"description": "Reads\u00a0one issue."},
        {"description": "Re\u0430ds one issue."},
        {"description": "Reads one issue.\u200b"},
        {"inputSchema": {**TOOL["inputSchema"], "required": []}},
        {"outputSchema": {"type": "object", "additionalProperties": False}},
        {"annotations": {"readOnlyHint": True, "openWorldHint": True}},
        {"annotations": {}},
        {"icons": [{"src": "https://example.com/a.png"}]},
        {"execution": {"taskSupport": "required"}},
        {"somethingNew": None},
        {"_meta": {"ui": {"resourceUri": "ui://a"}}},
        {"_meta": {"ui/resourceUri": "ui://a"}},
        {"_meta": {"openai/outputTemplate": "ui://a"}},
    ],
)
def test_everything_that_is_shown_counts(change: dict[str, Any]) -> None:
    assert tool_digest({**TOOL, **change}) != tool_digest(TOOL)


@pytest.mark.parametrize("meta", [{}, {"requestId": 1}, {"uid": 1}, None, [1]])
def test_what_servers_say_to_programs_does_not_count(meta: Any) -> None:
    assert tool_digest({**TOOL, "_meta": meta}) == tool_digest(TOOL)
    assert "_meta" not in definition({**TOOL, "_meta": meta})


def test_a_set_is_its_tools_in_any_order() -> None:
    one, other = tool_digest(TOOL), tool_digest({**TOOL, "name": "b"})
    assert set_digest([one, other]) == set_digest([other, one, one]) != set_digest([one])
    assert set_digest([]).startswith("sha256:")


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_descriptions_have_one_digest_only_if_they_are_one(one: str, other: str) -> None:
    same = tool_digest({**TOOL, "description": one}) == tool_digest({**TOOL, "description": other})
    assert same is (one == other)
