from __future__ import annotations

from typing import Any

import pytest

from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.server_requests import InputRequest, ServerRequestKind, input_requests, server_request
from mesh.reasons import Reason


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("sampling/createMessage", ServerRequestKind.SAMPLING),
        ("elicitation/create", ServerRequestKind.ELICITATION),
        ("roots/list", ServerRequestKind.ROOTS),
        ("ping", ServerRequestKind.PING),
        ("tasks/get", ServerRequestKind.UNKNOWN),
        ("tools/call", ServerRequestKind.UNKNOWN),
        ("Sampling/createMessage", ServerRequestKind.UNKNOWN),
        ("", ServerRequestKind.UNKNOWN),
    ],
)
def test_what_a_server_asks_for_is_told_by_its_method(method: str, kind: ServerRequestKind) -> None:
    assert server_request(method) is kind


def test_input_requests_of_a_result_are_found() -> None:
    result = {
        "resultType": "input_required",
        "inputRequests": {
            "a": {"method": "elicitation/create", "params": {"message": "?"}},
            "b": {"method": "roots/list"},
        },
        "requestState": "s",
    }
    assert list(input_requests(result)) == [
        InputRequest("a", "elicitation/create", {"message": "?"}),
        InputRequest("b", "roots/list", None),
    ]


@pytest.mark.parametrize("holder", [{}, {"content": []}, {"inputRequests": None}, {"inputRequests": {}}])
def test_most_results_ask_for_nothing(holder: dict[str, Any]) -> None:
    assert list(input_requests(holder)) == []


@pytest.mark.parametrize(
    "holder",
    [
        *[
            {"inputRequests": []},
            {"inputRequests": "x"},
            {"inputRequests": {"a": 1}},
            {"inputRequests": {"a": {}}},
        ],
        {"inputRequests": {"a": {"method": 1}}},
        {"inputRequests": {"a": {"method": "roots/list", "params": []}}},
        {"inputRequests": {"a": {"method": "roots/list", "Method": "sampling/createMessage"}}},
        {"InputRequests": {}},
    ],
)
def test_input_requests_that_cannot_be_read_are_refused(holder: dict[str, Any]) -> None:
    with pytest.raises(McpRefused) as caught:
        list(input_requests(holder))
    assert caught.value.reason is Reason.MCP_MALFORMED
