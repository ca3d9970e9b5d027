from __future__ import annotations

from typing import Any

import pytest

from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.methods import METHODS
from mesh.protocol.mcp.subjects import Subject, SubjectKind, subjects
from mesh.reasons import Reason

TOOL, PROMPT, RESOURCE, TEMPLATE = SubjectKind


def refused(method: str, params: Any) -> McpRefused:
    with pytest.raises(McpRefused) as caught:
        subjects(method, params)
    assert (caught.value.reason, caught.value.code) == (Reason.MCP_MALFORMED, -32602)
    return caught.value


@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("tools/call", {"name": "a"}, Subject(TOOL, "a", "tools/call")),
        ("tools/call", {"name": "", "arguments": {"x": 1}}, Subject(TOOL, "", "tools/call", {"x": 1})),
        ("tools/call", {"name": "a", "arguments": None}, Subject(TOOL, "a", "tools/call")),
        ("tools/call", {"name": "a", "task": {"ttl": 1}, "_meta": {}}, Subject(TOOL, "a", "tools/call")),
        (
            "tools/call",
            {"name": "a", "inputResponses": {}, "requestState": "s"},
            Subject(TOOL, "a", "tools/call"),
        ),
        (
            "prompts/get",
            {"name": "p", "arguments": {"y": "1"}},
            Subject(PROMPT, "p", "prompts/get", {"y": "1"}),
        ),
        ("resources/read", {"uri": "file:///a"}, Subject(RESOURCE, "file:///a", "resources/read")),
        ("resources/subscribe", {"uri": "file:///a"}, Subject(RESOURCE, "file:///a", "resources/subscribe")),
        (
            "resources/unsubscribe",
            {"uri": "file:///a"},
            Subject(RESOURCE, "file:///a", "resources/unsubscribe"),
        ),
        ("skills/get", {"uri": "skill://a"}, Subject(RESOURCE, "skill://a", "skills/get")),
        (
            "completion/complete",
            {
                "ref": {"type": "ref/prompt", "name": "p", "title": "P"},
                "argument": {"name": "x", "value": ""},
            },
            Subject(PROMPT, "p", "prompts/get"),
        ),
        (
            "completion/complete",
            {"ref": {"type": "ref/resource", "uri": "file:///a"}},
            Subject(RESOURCE, "file:///a", "resources/read"),
        ),
        (
            "completion/complete",
            {"ref": {"type": "ref/resource", "uri": "file:///{p}"}},
            Subject(TEMPLATE, "file:///{p}", "resources/templates/list"),
        ),
    ],
)
def test_what_a_request_names_is_found(method: str, params: dict[str, Any], named: Subject) -> None:
    assert subjects(method, params) == (named,)


def test_a_subscription_names_each_resource() -> None:
    params = {
        "notifications": {"toolsListChanged": True, "resourceSubscriptions": ["a:1", "b:2"], "taskIds": ["7"]}
    }
    assert subjects("subscriptions/listen", params) == (
        Subject(RESOURCE, "a:1", "resources/subscribe"),
        Subject(RESOURCE, "b:2", "resources/subscribe"),
    )


@pytest.mark.parametrize(
    "params", [{}, {"notifications": {}}, {"notifications": None}, {"notifications": {"x": 1}}]
)
def test_a_subscription_may_name_nothing(params: dict[str, Any]) -> None:
    assert subjects("subscriptions/listen", params) == ()


@pytest.mark.parametrize("method", sorted(m for m, row in METHODS.items() if row.naming is None))
@pytest.mark.parametrize("params", [None, [], {"name": 1, "uri": []}])
def test_other_methods_name_nothing(method: str, params: Any) -> None:
    assert subjects(method, params) == ()


def test_unknown_methods_name_nothing() -> None:
    assert subjects("Tools/Call", {"name": "a"}) == ()


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read", "completion/complete"])
@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        ["a"],
        {},
        {"name": None, "uri": None},
        {"name": 1, "uri": 1},
        {"name": ["a"], "uri": ["a"]},
        {"Name": "a"},
    ],
)
def test_a_request_that_names_nothing_properly_is_refused(method: str, params: Any) -> None:
    refused(method, params)


@pytest.mark.parametrize("arguments", [[], "x", 1, False])
def test_arguments_that_are_no_object_are_refused(arguments: Any) -> None:
    refused("tools/call", {"name": "a", "arguments": arguments})


@pytest.mark.parametrize(
    "ref",
    [
        *[None, "p", [], {}, {"type": "ref/prompt"}, {"type": "ref/prompt", "name": 1}, {"name": "p"}],
        {"type": "ref/resource", "name": "p"},
        {"type": "ref/other", "name": "p", "uri": "a:1"},
        {"type": "ref/prompt", "name": "p", "NAME": "q"},
        {"type": "ref/prompt", "name": "p", "Type": "ref/resource"},
    ],
)
def test_a_reference_to_nothing_is_refused(ref: Any) -> None:
    refused("completion/complete", {"ref": ref})


@pytest.mark.parametrize(
    "notifications",
    [
        *[
            "x",
            [],
            {"resourceSubscriptions": "a:1"},
            {"resourceSubscriptions": [1]},
            {"resourceSubscriptions": {}},
        ],
        {"resourcesubscriptions": ["a:1"]},
    ],
)
def test_a_subscription_that_cannot_be_read_is_refused(notifications: Any) -> None:
    refused("subscriptions/listen", {"notifications": notifications})


@pytest.mark.parametrize("member", ["Name", "NAME", "nAme", "Arguments", "_META"])
def test_a_member_that_differs_in_case_only_is_refused(member: str) -> None:
    caught = refused("tools/call", {"name": "a", member: "b"})
    assert repr(member) in caught.detail


def test_unknown_members_are_let_be() -> None:
    assert subjects("tools/call", {"name": "a", "x": 1, "nickname": "b"}) == (
        Subject(TOOL, "a", "tools/call"),
    )
