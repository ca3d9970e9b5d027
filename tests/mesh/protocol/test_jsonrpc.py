from __future__ import annotations

from typing import Any

import pytest

from mesh.protocol.jsonrpc import JsonRpcRefused, Kind, classify, error_response, messages
from mesh.reasons import Reason

REQUEST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
NOTIFICATION = {"jsonrpc": "2.0", "method": "notifications/initialized"}
RESULT = {"jsonrpc": "2.0", "id": "a", "result": {"tools": []}}
ERROR = {"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "no"}}


def refused(value: Any, **limits: int) -> JsonRpcRefused:
    with pytest.raises(JsonRpcRefused) as caught:
        messages(value, **limits)
    assert caught.value.detail
    return caught.value


def test_a_request_is_told_by_method_and_id() -> None:
    value = {**REQUEST, "params": {"cursor": "x"}}
    message = classify(value)
    assert (message.kind, message.id, message.method) == (Kind.REQUEST, 1, "tools/list")
    assert message.params == {"cursor": "x"}
    assert message.result is message.error is None
    assert message.value is value


def test_a_notification_has_no_id() -> None:
    message = classify(NOTIFICATION)
    assert (message.kind, message.id, message.method) == (
        Kind.NOTIFICATION,
        None,
        "notifications/initialized",
    )


def test_a_result_may_be_any_value() -> None:
    assert classify(RESULT).result == {"tools": []}
    results: list[Any] = [None, [], "x", 0, False]
    for result in results:
        message = classify({**RESULT, "result": result})
        assert (message.kind, message.id, message.result) == (Kind.RESULT, "a", result)


def test_an_error_may_answer_an_unreadable_id() -> None:
    assert classify(ERROR).error == {"code": -32601, "message": "no"}
    assert classify({**ERROR, "id": None}).id is None
    assert classify({"jsonrpc": "2.0", "error": {}}).kind is Kind.ERROR


@pytest.mark.parametrize("id", ["", "a", 0, -1, 2**70])
def test_ids_are_strings_and_integers_of_any_size(id: str | int) -> None:
    for value in (REQUEST, RESULT, ERROR):
        assert classify({**value, "id": id}).id == id


@pytest.mark.parametrize("id", [1.0, 1.5, True, False, [], {}])
def test_other_ids_are_refused_everywhere(id: Any) -> None:
    for value in (REQUEST, RESULT, ERROR):
        caught = refused({**value, "id": id})
        assert (caught.reason, caught.id) == (Reason.JSONRPC_ID, None)


def test_requests_and_results_with_a_null_id_are_refused() -> None:
    assert refused({**REQUEST, "id": None}).reason is Reason.JSONRPC_ID
    assert refused({**RESULT, "id": None}).reason is Reason.JSONRPC_ID
    assert refused({"jsonrpc": "2.0", "result": {}}).reason is Reason.JSONRPC_ID


@pytest.mark.parametrize(
    "value",
    [
        {**REQUEST, "result": {}},
        {**REQUEST, "result": None},
        {**REQUEST, "error": {}},
        {**NOTIFICATION, "error": None, "id": 1},
        {**RESULT, "error": {"code": 1, "message": ""}, "id": 1},
    ],
)
def test_hybrids_are_refused(value: Any) -> None:
    caught = refused(value)
    assert (caught.reason, caught.id) == (Reason.JSONRPC_HYBRID, 1)


@pytest.mark.parametrize(
    "value",
    [
        *[None, 1, "x", True, 1.5],
        {},
        {"id": 1},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "params": {}},
        {"jsonrpc": "1.0", "id": 1, "method": "x"},
        {"jsonrpc": 2.0, "id": 1, "method": "x"},
        {"jsonrpc": ["2.0"], "id": 1, "method": "x"},
        {"id": 1, "method": "x"},
        {**REQUEST, "method": 1},
        {**REQUEST, "method": None},
        {**REQUEST, "params": "x"},
        {**REQUEST, "params": 0},
        {**ERROR, "error": "x"},
        {**ERROR, "error": None},
        {**ERROR, "error": []},
    ],
)
def test_what_is_no_message_is_refused(value: Any) -> None:
    assert refused(value).reason is Reason.JSONRPC_INVALID


@pytest.mark.parametrize("member", ["Method", "METHOD", "Id", "Result", "param\u017f", "JsonRPC"])
def test_members_that_some_readers_fold_into_known_ones_are_refused(member: str) -> None:
    caught = refused({**REQUEST, member: "x"})
    assert (caught.reason, caught.id) == (Reason.JSONRPC_INVALID, 1)


def test_unknown_members_are_let_be() -> None:
    assert classify({**REQUEST, "trace": 1, "x-id": 2}).kind is Kind.REQUEST


def test_params_may_be_null_or_an_array() -> None:
    assert classify({**REQUEST, "params": None}).params is None
    assert classify({**REQUEST, "params": [1]}).params == [1]


def test_the_id_is_told_where_it_is_usable() -> None:
    assert refused({"jsonrpc": "1.0", "id": "x"}).id == "x"
    assert refused({"jsonrpc": "1.0", "id": 1.0}).id is None
    assert refused({"jsonrpc": "1.0", "id": True}).id is None


def test_a_single_message_is_no_batch() -> None:
    found, is_batch = messages(REQUEST)
    assert (len(found), is_batch) == (1, False)


def test_every_message_of_a_batch_is_classified_in_order() -> None:
    found, is_batch = messages([REQUEST, NOTIFICATION, RESULT, ERROR])
    assert is_batch
    assert [message.kind for message in found] == [Kind.REQUEST, Kind.NOTIFICATION, Kind.RESULT, Kind.ERROR]


def test_an_empty_batch_is_refused() -> None:
    assert refused([]).reason is Reason.BATCH_TOO_LARGE


def test_the_size_of_a_batch_is_bounded() -> None:
    assert len(messages([REQUEST] * 3, max_batch=3)[0]) == 3
    assert refused([REQUEST] * 4, max_batch=3).reason is Reason.BATCH_TOO_LARGE


def test_a_batch_in_a_batch_is_refused() -> None:
    assert refused([REQUEST, [REQUEST]]).reason is Reason.JSONRPC_INVALID


def test_one_bad_message_refuses_its_batch() -> None:
    caught = refused([REQUEST, {**REQUEST, "id": 2, "result": {}}])
    assert (caught.reason, caught.id) == (Reason.JSONRPC_HYBRID, 2)


def test_an_error_response_is_a_message_again() -> None:
    response = error_response(3, -32602, "Unknown tool: x")
    assert response == {"jsonrpc": "2.0", "id": 3, "error": {"code": -32602, "message": "Unknown tool: x"}}
    assert classify(response).kind is Kind.ERROR
    assert error_response(None, -32700, "Parse error", {"a": 1})["error"]["data"] == {"a": 1}
