"""By what a message can be known to belong to another: traces, sessions, conversations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.protocol.signs import LONGEST, MOST, MOST_MESSAGES, NO_SIGNS, Signs, signs_of, signs_of_raw

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"


def traceparent(trace: str = TRACE) -> str:
    return f"00-{trace}-00f067aa0ba902b7-01"


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def answer(result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "its-own", "result": result}


def contexts(body: Any) -> tuple[str, ...]:
    """Found in the parsed body, and no others in its text."""
    found = signs_of({}, body).contexts
    assert signs_of_raw({}, json.dumps(body).encode()).contexts == found
    return found


def test_the_header_names_the_trace_and_the_session() -> None:
    fields = {b"traceparent": traceparent().encode(), b"mcp-session-id": b"s-1", b"accept": b"*/*"}
    assert signs_of(fields) == Signs(TRACE, "s-1")
    assert signs_of_raw(fields, b"no JSON") == Signs(TRACE, "s-1")
    assert signs_of({}) is NO_SIGNS


def test_a_malformed_traceparent_names_nothing() -> None:
    assert signs_of({b"traceparent": b"00-1-2-3"}) is NO_SIGNS
    body = request("tools/call", _meta={"traceparent": traceparent().upper()})
    assert signs_of({}, body) is NO_SIGNS


def test_the_body_names_the_trace_where_the_header_does_not() -> None:
    body = request("tools/call", name="x", _meta={"traceparent": traceparent()})
    assert signs_of({}, body) == Signs(TRACE)
    assert signs_of_raw({}, json.dumps(body).encode()) == Signs(TRACE)


def test_a_trace_in_the_body_counts_beside_another_one_in_the_header() -> None:
    fields = {b"traceparent": traceparent(OTHER).encode()}
    body = request("tools/call", _meta={"traceparent": traceparent()})
    assert signs_of(fields, body) == Signs(OTHER, other_traces=(TRACE,))
    assert signs_of({b"traceparent": traceparent().encode()}, body) == Signs(TRACE)
    assert signs_of({}, [body, request("x", _meta={"traceparent": traceparent(OTHER)})]) == Signs(
        TRACE, other_traces=(OTHER,)
    )


@pytest.mark.parametrize("session", [b"", b"a b", b"\xc3\xa9", b"a\tb", b"\x7f", b"x" * (LONGEST + 1)])
def test_what_mcp_would_not_have_as_a_session_id_is_none(session: bytes) -> None:
    assert signs_of({b"mcp-session-id": session}) is NO_SIGNS


@pytest.mark.parametrize(
    ("body", "found"),
    [
        # 0.3
        (request("message/send", message={"kind": "message", "contextId": "c", "taskId": "t"}), ("c", "t")),
        (request("message/stream", message={"contextId": "c"}, contextId="d"), ("d", "c")),
        (request("tasks/get", id="t"), ("t",)),
        (request("tasks/cancel", id="t"), ("t",)),
        (request("tasks/resubscribe", id="t"), ("t",)),
        (request("tasks/pushNotificationConfig/set", taskId="t", pushNotificationConfig={"id": "p"}), ("t",)),
        (request("tasks/pushNotificationConfig/get", id="t", pushNotificationConfigId="p"), ("t",)),
        (answer({"kind": "task", "id": "t", "contextId": "c", "status": {"state": "working"}}), ("c", "t")),
        (answer({"kind": "task", "id": "t"}), ("t",)),
        (answer({"kind": "message", "contextId": "c", "messageId": "m"}), ("c",)),
        (answer({"kind": "status-update", "taskId": "t", "contextId": "c", "status": {}}), ("c", "t")),
        # 1.0
        (request("SendMessage", message={"context_id": "c", "task_id": "t", "role": 1}), ("c", "t")),
        (request("SendStreamingMessage", message={"contextId": "c"}, tenant="x"), ("c",)),
        (request("GetTask", id="t", historyLength=1), ("t",)),
        (request("SubscribeToTask", id="t"), ("t",)),
        (request("ListTasks", contextId="c"), ("c",)),
        (request("GetTaskPushNotificationConfig", taskId="t", id="config"), ("t",)),
        (
            answer({"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}}),
            ("c", "t"),
        ),
        (answer({"task": {"id": "t", "context_id": "c"}}), ("c", "t")),
        (answer({"message": {"contextId": "c", "messageId": "m"}}), ("c",)),
        (answer({"statusUpdate": {"taskId": "t", "contextId": "c"}}), ("c", "t")),
        (answer({"status_update": {"task_id": "t", "context_id": "c"}}), ("c", "t")),
        (answer({"artifactUpdate": {"taskId": "t", "contextId": "c", "artifact": {}}}), ("c", "t")),
        (answer({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_COMPLETED"}}), ("c", "t")),
        # Tasks of MCP
        (request("tasks/get", taskId="t"), ("t",)),
        (answer({"task": {"taskId": "t", "status": "working"}}), ("t",)),
        (answer({"resultType": "task", "taskId": "t"}), ("t",)),
        # Batches
        ([request("GetTask", id="t"), answer({"task": {"id": "u"}}), request("GetTask", id="t")], ("t", "u")),
    ],
)
def test_contexts_and_tasks_are_found_where_the_protocols_have_them(
    body: Any, found: tuple[str, ...]
) -> None:
    assert contexts(body) == found


@pytest.mark.parametrize(
    "body",
    [
        None,
        "contextId",
        17,
        [],
        ["contextId", 1, None],
        {},
        {"params": [], "result": []},
        request("tools/call", name="x", arguments={"contextId": "c", "taskId": "t"}),
        request("tools/list", id="t"),
        {"jsonrpc": "2.0", "method": ["tasks/get"], "params": {"id": "t"}},
        request("tasks/get", id=7),
        request("message/send", message="contextId"),
        request("message/send", message={"contextId": "", "taskId": None}),
        request("message/send", message={"contextId": ["c"], "taskId": {"t": 1}}),
        request("message/send", message={"contextId": "x" * (LONGEST + 1)}),
        request("x", _meta=[]),
        request("x", _meta={"traceparent": 1}),
        request("x", _meta={"traceparent": "é" * 55}),
        answer({"content": [{"type": "text", "text": '{"contextId": "c"}'}], "id": "t"}),
        answer({"id": "t", "status": {"state": "x"}}),
        answer({"tasks": [{"id": "t", "contextId": "c"}, {"taskId": "u"}]}),
        answer({"task": "t"}),
    ],
)
def test_nothing_else_is_a_sign(body: Any) -> None:
    assert contexts(body) == ()


def test_the_number_of_signs_is_bounded_and_that_there_are_more_is_told() -> None:
    many = [request("GetTask", id=f"t{number}") for number in range(2 * MOST)]
    assert contexts(many) == tuple(f"t{number}" for number in range(MOST))
    assert signs_of({}, many).more
    assert not signs_of({}, many[:MOST]).more
    assert signs_of({}, many[: MOST + 1]).more
    for message in many:
        message["params"] = {"contextId": message["params"]["id"], "taskId": message["params"]["id"] + "x"}
    assert len(contexts(many)) == MOST
    assert signs_of({}, many).more


def test_a_sign_behind_many_messages_without_any_is_seen() -> None:
    assert contexts([{}] * MOST + [request("GetTask", id="t")]) == ("t",)
    assert signs_of({}, [{}] * (MOST_MESSAGES + 1)).more


def test_the_number_of_traces_is_bounded_too() -> None:
    many = [
        request("x", _meta={"traceparent": f"00-{number:032x}-{1:016x}-01"}) for number in range(1, 2 * MOST)
    ]
    signs = signs_of({}, many)
    assert signs.more
    assert len(signs.other_traces) == MOST - 1


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"message": {"contextId": "c", "taskId": "t", "role": "user"}}, ("c", "t")),
        ({"message": {"context_id": "c"}, "configuration": {}}, ("c",)),
        ({"contextId": "c", "taskId": "t"}, ("c", "t")),
        ({"task": {"id": "t", "contextId": "c", "status": {}}}, ("c", "t")),
        ({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}, ("c", "t")),
        ({"statusUpdate": {"taskId": "t", "contextId": "c"}}, ("c", "t")),
        ({"artifactUpdate": {"taskId": "t", "contextId": "c"}}, ("c", "t")),
        ({"jsonrpc": "2.0", "id": "1", "method": "x", "message": {"contextId": "c"}}, ("c",)),
        ({"jsonrpc": "2.0", "id": "1", "method": "x", "status": {}}, ()),
        ({"message": "contextId"}, ()),
    ],
)
def test_bodies_of_a2a_without_json_rpc(body: Any, found: tuple[str, ...]) -> None:
    """HTTP+JSON (A2A 1.0, section 11): what is in params or result elsewhere is the body itself."""
    assert contexts(body) == found
    assert signs_of_raw({}, json.dumps(body).encode()).contexts == found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b'"contextId"',
        b"event: contextId",
        b'{"params":{"message":{"contextId":"c","contextId":"d"}}}',
        b'{"params":{"contextId":"c"}',
        b'\xef\xbb\xbf{"params":{"contextId":"c"}}',
        b"\xff\xfe{",
        b'{"params":' * 100 + b'"contextId"',
    ],
)
def test_a_text_that_is_no_strict_json_holds_no_signs(body: bytes) -> None:
    assert signs_of_raw({b"mcp-session-id": b"s"}, body) == Signs(session="s")


def test_an_escaped_spelling_is_no_way_round() -> None:
    assert signs_of_raw({}, b' \n{"params":{"conte\\u0078tId":"c"}}').contexts == ("c",)
    assert signs_of_raw({}, b'{"method":"tasks\\/get","params":{"id":"t"}}').contexts == ("t",)
