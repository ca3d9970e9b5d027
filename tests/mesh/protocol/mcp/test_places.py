"""Where the texts of messages stand: every string is in one root, and each root is what it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.guardrails import Part
from mesh.protocol.mcp.methods import METHODS
from mesh.protocol.mcp.places import Root, places_of_answer, places_of_request
from tests.support.fuzzing import examples

ARGUMENTS, RESULTS, DESCRIPTIONS = Part.ARGUMENTS, Part.RESULTS, Part.DESCRIPTIONS
MESSAGES, PROTOCOL = Part.MESSAGES, Part.PROTOCOL


def strings(value: Any) -> Iterator[str]:
    """All strings of a value, but for keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys(one)


def parts(roots: tuple[Root, ...]) -> dict[str, Part]:
    """The part of each string; strings of these tests are distinct."""
    return {text: root.part for root in roots for text in strings(root.holder[root.key])}


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "the-id", "method": method, "params": params}


def answer(**result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "the-id", "result": result}


REQUESTS: list[tuple[dict[str, Any], dict[str, Part]]] = [
    (
        request(
            "tools/call",
            name="tool",
            arguments={"a": ["x", {"b": "y"}]},
            requestState="opaque",
            inputResponses={"q1": {"action": "accept", "content": {"mail": "entered"}}},
            task={"ttl": 5},
            extra="unknown",
            _meta={
                "progressToken": "token",
                "io.modelcontextprotocol/logLevel": "info",
                "own.org/note": "hello",
            },
        ),
        {
            "the-id": PROTOCOL,
            "tools/call": PROTOCOL,
            "tool": PROTOCOL,
            "opaque": PROTOCOL,
            "accept": PROTOCOL,
            "q1": PROTOCOL,
            "token": PROTOCOL,
            "info": PROTOCOL,
            "hello": PROTOCOL,
            "x": ARGUMENTS,
            "y": ARGUMENTS,
            "entered": ARGUMENTS,
            "unknown": ARGUMENTS,
        },
    ),
    (
        request(
            "completion/complete",
            ref={"type": "ref/resource", "uri": "file:///{p}"},
            argument={"name": "p", "value": "typed"},
            context={"arguments": {"q": "given"}},
        ),
        {
            "the-id": PROTOCOL,
            "completion/complete": PROTOCOL,
            "ref/resource": PROTOCOL,
            "p": PROTOCOL,
            "file:///{p}": ARGUMENTS,
            "typed": ARGUMENTS,
            "given": ARGUMENTS,
        },
    ),
    (
        request("subscriptions/listen", notifications={"resourceSubscriptions": ["a:b"], "taskIds": ["t1"]}),
        {"the-id": PROTOCOL, "subscriptions/listen": PROTOCOL, "a:b": ARGUMENTS, "t1": PROTOCOL},
    ),
    (
        request("resources/read", uri="a:b"),
        {"the-id": PROTOCOL, "resources/read": PROTOCOL, "a:b": ARGUMENTS},
    ),
    (
        request("own/method", name="n", deep={"x": ["y"]}),
        {"the-id": PROTOCOL, "own/method": PROTOCOL, "n": ARGUMENTS, "y": ARGUMENTS},
    ),
    (
        {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": "r", "reason": "why"},
        },
        {"notifications/cancelled": PROTOCOL, "r": PROTOCOL, "why": MESSAGES},
    ),
    (
        answer(
            role="assistant",
            model="m",
            stopReason="end",
            content=[
                {"type": "text", "text": "said"},
                {"type": "tool_use", "id": "u", "name": "t", "input": {"k": "in"}},
                {"type": "tool_result", "toolUseId": "u2", "content": [{"type": "text2", "text": "out"}]},
            ],
        ),
        {
            **dict.fromkeys(
                (
                    "the-id",
                    "assistant",
                    "m",
                    "end",
                    "text",
                    "tool_use",
                    "u",
                    "t",
                    "tool_result",
                    "u2",
                    "text2",
                ),
                PROTOCOL,
            ),
            "said": ARGUMENTS,
            "in": ARGUMENTS,
            "out": ARGUMENTS,
        },
    ),
    (
        answer(role="assistant", content={"type": "text", "text": "said"}),
        {"the-id": PROTOCOL, "assistant": PROTOCOL, "text": PROTOCOL, "said": ARGUMENTS},
    ),
    (
        answer(roots=[{"uri": "file:///a", "name": "home"}]),
        {"the-id": PROTOCOL, "file:///a": ARGUMENTS, "home": ARGUMENTS},
    ),
    (
        {"jsonrpc": "2.0", "id": "the-id", "error": {"code": 1, "message": "no", "data": {"x": "because"}}},
        {"the-id": PROTOCOL, "no": MESSAGES, "because": MESSAGES},
    ),
    ({"jsonrpc": "1.0", "surprise": "s"}, {"1.0": PROTOCOL, "s": PROTOCOL}),
]


@pytest.mark.parametrize(("message", "expected"), REQUESTS)
def test_what_clients_send_is_told_apart(message: dict[str, Any], expected: dict[str, Part]) -> None:
    assert parts(places_of_request(message)) == expected


ANSWERS: list[tuple[dict[str, Any], str | None, dict[str, Part]]] = [
    (
        answer(
            resultType="complete",
            content=[
                {"type": "text", "text": "said", "annotations": {"audience": ["user"]}},
                {"type": "image", "data": "AAAA", "mimeType": "image/png"},
                {"type": "resource_link", "uri": "a:b", "name": "n", "description": "d"},
                {"type": "resource", "resource": {"uri": "c:d", "blob": "BBBB", "text": "inner"}},
            ],
            structuredContent={"k": "structured"},
            own="unknown",
        ),
        "tools/call",
        {
            **dict.fromkeys(
                *[
                    (
                        "the-id",
                        "complete",
                        "text",
                        "user",
                        "image",
                        "AAAA",
                        "image/png",
                        "resource_link",
                        "resource",
                    )
                ],
                PROTOCOL,
            ),
            **dict.fromkeys(
                ("said", "a:b", "n", "d", "c:d", "BBBB", "inner", "structured", "unknown"), RESULTS
            ),
        },
    ),
    (
        answer(tools=[{"name": "t", "description": "d", "inputSchema": {"x": "s"}}], nextCursor="c"),
        "tools/list",
        {"the-id": PROTOCOL, "c": PROTOCOL, "t": DESCRIPTIONS, "d": DESCRIPTIONS, "s": DESCRIPTIONS},
    ),
    (
        answer(tools=[{"name": "t", "description": "d"}]),
        None,
        {"the-id": PROTOCOL, "t": DESCRIPTIONS, "d": DESCRIPTIONS},
    ),
    (
        answer(tools=[{"name": "t", "description": "d"}], instructions="i"),
        "tools/call",
        {"the-id": PROTOCOL, "t": RESULTS, "d": RESULTS, "i": RESULTS},
    ),
    (
        answer(resources=[{"uri": "a:b", "name": "n", "mimeType": "text/x"}], skills=[{"frontmatter": "f"}]),
        "resources/list",
        {"the-id": PROTOCOL, "text/x": PROTOCOL, "a:b": DESCRIPTIONS, "n": DESCRIPTIONS, "f": DESCRIPTIONS},
    ),
    (
        answer(protocolVersion="v", instructions="i", serverInfo={"name": "n", "title": "t"}),
        "initialize",
        {"the-id": PROTOCOL, "v": PROTOCOL, "i": DESCRIPTIONS, "n": DESCRIPTIONS, "t": DESCRIPTIONS},
    ),
    (
        answer(messages=[{"role": "user", "content": {"type": "text", "text": "said"}}]),
        "prompts/get",
        {"the-id": PROTOCOL, "user": PROTOCOL, "text": PROTOCOL, "said": RESULTS},
    ),
    (
        answer(contents=[{"uri": "a:b", "text": "t", "mimeType": "text/x"}]),
        "resources/read",
        {"the-id": PROTOCOL, "a:b": RESULTS, "t": RESULTS, "text/x": PROTOCOL},
    ),
    (answer(completion={"values": ["v"]}), "completion/complete", {"the-id": PROTOCOL, "v": RESULTS}),
    (
        answer(
            taskId="t",
            status="completed",
            statusMessage="m",
            result={"content": [{"type": "text", "text": "late"}], "tools": "x"},
        ),
        "tasks/get",
        {
            "the-id": PROTOCOL,
            "t": PROTOCOL,
            "completed": PROTOCOL,
            "m": MESSAGES,
            "text": PROTOCOL,
            "late": RESULTS,
            "x": RESULTS,
        },
    ),
    (
        answer(
            resultType="input_required",
            inputRequests={
                "q1": {
                    "method": "sampling/createMessage",
                    "params": {"systemPrompt": "p", "tools": [{"name": "t", "description": "d"}]},
                },
                "q2": {"method": "elicitation/create", "params": {"message": "m", "mode": "form"}},
            },
        ),
        "tools/call",
        {
            **dict.fromkeys(("the-id", "input_required", "q1", "q2"), PROTOCOL),
            **dict.fromkeys(("sampling/createMessage", "elicitation/create", "form"), PROTOCOL),
            "p": MESSAGES,
            "m": MESSAGES,
            "t": DESCRIPTIONS,
            "d": DESCRIPTIONS,
        },
    ),
    (
        request(
            "sampling/createMessage", messages=[{"role": "user", "content": {"type": "text", "text": "x"}}]
        ),
        None,
        {
            "the-id": PROTOCOL,
            "sampling/createMessage": PROTOCOL,
            "user": PROTOCOL,
            "text": PROTOCOL,
            "x": MESSAGES,
        },
    ),
    (
        {
            "jsonrpc": "2.0",
            "method": "notifications/message",
            "params": {"level": "info", "data": {"k": "logged"}},
        },
        None,
        {"notifications/message": PROTOCOL, "info": PROTOCOL, "logged": MESSAGES},
    ),
    (
        {"jsonrpc": "2.0", "method": "notifications/own", "params": {"x": "y"}},
        None,
        {"notifications/own": PROTOCOL, "y": RESULTS},
    ),
    (
        {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "no"}},
        "tools/call",
        {"no": MESSAGES},
    ),
]


@pytest.mark.parametrize(("message", "asked", "expected"), ANSWERS)
def test_what_servers_send_is_told_apart(
    message: dict[str, Any], asked: str | None, expected: dict[str, Part]
) -> None:
    assert parts(places_of_answer(message, asked)) == expected


def test_names_of_what_is_called_and_offered_cannot_be_masked() -> None:
    call = places_of_request(request("tools/call", name="tool", arguments={"a": "x"}))
    assert {root.key: root.maskable for root in call} == {
        "id": False,
        "method": False,
        "name": False,
        "arguments": True,
    }
    offers = places_of_answer(answer(tools=[{"name": "t", "description": "d"}]), "tools/list")
    assert {root.key: root.maskable for root in offers} == {"id": False, "name": False, "description": True}


def test_keys_that_no_revision_knows_are_the_senders_words() -> None:
    roots = places_of_request(request("tools/call", name="t", alien="x", _meta={"own.org/key": 1}))
    assert {root.key for root in roots if root.named} == {"alien", "own.org/key"}


def test_images_and_blobs_are_binary_and_text_of_another_type_is_not() -> None:
    blocks = [{"type": "image", "data": "AAAA"}, {"type": "text", "data": "AAAA"}]
    roots = places_of_answer(answer(content=blocks), "tools/call")
    assert [(root.binary, root.part) for root in roots if root.key == "data"] == [
        (True, PROTOCOL),
        (False, RESULTS),
    ]
    (blob,) = (r for r in places_of_answer(answer(contents=[{"blob": "AAAA"}]), None) if r.key == "blob")
    assert blob == (blob.holder, "blob", RESULTS, ("result", "contents", 0), False, False, True)


def test_nesting_as_deep_as_one_likes_is_walked_in_bounds() -> None:
    block: dict[str, Any] = {"type": "text", "text": "inmost"}
    for _ in range(5000):
        block = {"type": "tool_result", "content": [block]}
    roots = places_of_answer(answer(content=[block]), "tools/call")
    assert max(len(root.path) for root in roots) < 60


def test_paths_lead_to_the_holder() -> None:
    message = answer(content=[{"type": "text", "text": "said"}], task={"statusMessage": "m"})
    for root in places_of_answer(message, None):
        holder: Any = message
        for step in root.path:
            holder = holder[step]
        assert holder is root.holder


words = st.sampled_from(
    [
        *(
            "name",
            "uri",
            "ref",
            "type",
            "arguments",
            "argument",
            "context",
            "notifications",
            "taskId",
            "task",
        ),
        *("resourceSubscriptions", "taskIds", "inputResponses", "inputRequests", "content", "data", "image"),
        *(
            "text",
            "blob",
            "resource",
            "role",
            "messages",
            "contents",
            "completion",
            "values",
            "tools",
            "_meta",
        ),
        *("prompts", "resources", "description", "inputSchema", "result", "error", "structuredContent"),
        *("method", "params", "message", "progressToken", "serverInfo", "tasks", "roots", "action", "Own"),
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=14,
)
methods = st.sampled_from(sorted(METHODS)) | st.sampled_from(["own/method", ""])
messages = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": st.integers() | st.text(max_size=3),
        "method": methods,
        "params": values,
        "result": values,
        "error": values,
        "alien": values,
    },
)


@settings(max_examples=examples(300), deadline=None)
@given(messages, st.none() | methods)
def test_every_string_is_in_one_root(message: dict[str, Any], asked: str | None) -> None:
    expected = Counter(strings({name: one for name, one in message.items() if name != "jsonrpc"}))
    for roots in (places_of_request(message), places_of_answer(message, asked)):
        seen: Counter[str] = Counter()
        for root in roots:
            # Names that are the sender's stand in a list of their own, and are keys.
            if type(root.holder) is not list or type(root.holder[root.key]) is not list or root.maskable:
                seen.update(strings(root.holder[root.key]))
        assert seen == expected


@settings(max_examples=examples(300), deadline=None)
@given(messages, st.none() | methods)
def test_every_key_is_known_or_looked_at(message: dict[str, Any], asked: str | None) -> None:
    known = {"jsonrpc", "id", "method", "params", "result", "error"}
    for roots in (places_of_request(message), places_of_answer(message, asked)):
        looked_at = known | {root.key for root in roots if root.named}
        for root in roots:
            looked_at.update(keys(root.holder[root.key]))
            looked_at.update(strings(root.holder[root.key]))
            looked_at.update(step for step in root.path if type(step) is str)
            if not root.named:
                looked_at.add(root.key)  # in a table of members, by construction
        unseen = {key for key in keys(message) if len(key) <= 3 and key not in known} - looked_at
        assert not unseen or all(holds_no_text(message, key) for key in unseen)


def holds_no_text(message: Any, key: str) -> bool:
    """True where all members of that name are numbers, and the like, among the protocol's own."""
    if isinstance(message, dict):
        return all(
            (name != key or not isinstance(one, str | dict | list)) and holds_no_text(one, key)
            for name, one in message.items()
        )
    return not isinstance(message, list) or all(holds_no_text(one, key) for one in message)
