from __future__ import annotations

import pytest

from mesh.protocol.jsonrpc import JsonRpcRefused, Kind, classify
from mesh.protocol.mcp.denials import OTHER_POLICY_CODE, POLICY_CODES, denial, denial_status, refusal
from mesh.protocol.mcp.errors import header_mismatch, malformed
from mesh.protocol.mcp.subjects import Subject, SubjectKind
from mesh.protocol.strict_json import JsonRefused
from mesh.reasons import Reason

TOOL = Subject(SubjectKind.TOOL, "secret", "tools/call")
PROMPT = Subject(SubjectKind.PROMPT, "p", "prompts/get")
RESOURCE = Subject(SubjectKind.RESOURCE, "file:///a", "resources/read")
TEMPLATE = Subject(SubjectKind.TEMPLATE, "file:///{a}", "resources/templates/list")


@pytest.mark.parametrize(
    ("subject", "modern", "code", "message", "data"),
    [
        (TOOL, False, -32602, "Unknown tool: secret", None),
        (TOOL, True, -32602, "Unknown tool: secret", None),
        (PROMPT, True, -32602, "Unknown prompt: p", None),
        (RESOURCE, False, -32002, "Resource not found", {"uri": "file:///a"}),
        (RESOURCE, True, -32602, "Resource not found", {"uri": "file:///a"}),
        (TEMPLATE, True, -32602, "Resource not found", {"uri": "file:///{a}"}),
    ],
)
def test_what_is_hidden_reads_as_absent(
    subject: Subject, modern: bool, code: int, message: str, data: object
) -> None:
    for reason in (Reason.TOOL_DENIED, Reason.TOOL_NOT_GRANTED, Reason.NAME_OUTSIDE_CHARSET):
        error = denial(7, reason, subject, modern)["error"]
        assert (error["code"], error["message"], error.get("data")) == (code, message, data)


@pytest.mark.parametrize("subject", [TOOL, PROMPT, RESOURCE, None])
@pytest.mark.parametrize("reason", [Reason.TOOL_DENIED, Reason.UNKNOWN_METHOD, Reason.BACKEND_NOT_GRANTED])
@pytest.mark.parametrize("ident", [7, "7", 2**60])
def test_where_refusals_read_as_forbidden_they_all_read_alike(
    subject: Subject | None, reason: Reason, ident: int | str
) -> None:
    response = denial(ident, reason, subject, True, forbidden=True)
    error = {"code": 403, "message": "Access to this tool is forbidden."}
    assert response == {"jsonrpc": "2.0", "id": ident, "error": error}
    assert denial_status(response, True) == 200


@pytest.mark.parametrize(("forbidden", "code"), [(False, -32602), (True, 403)])
def test_what_the_author_of_a_policy_has_to_say_is_told(forbidden: bool, code: int) -> None:
    error = denial(
        1, Reason.ARGUMENTS_REFUSED, TOOL, True, message="only repositories of acme", forbidden=forbidden
    )["error"]
    assert (error["code"], error["message"]) == (code, "only repositories of acme")


@pytest.mark.parametrize("reason", [Reason.EXTERNAL_AUTH_DENIED, Reason.EXTERNAL_AUTH_FAILED])
def test_a_no_from_elsewhere_has_a_code_of_ours(reason: Reason) -> None:
    error = denial(1, reason, None, True)["error"]
    assert (error["code"], error["data"]) == (POLICY_CODES[reason], {"reason": str(reason)})


@pytest.mark.parametrize("modern", [True, False])
def test_an_unknown_method_reads_as_not_found(modern: bool) -> None:
    response = denial("a", Reason.UNKNOWN_METHOD, None, modern, method="x/y")
    assert response["error"] == {"code": -32601, "message": "Method not found: x/y"}
    assert denial("a", Reason.UNKNOWN_METHOD, None, modern)["error"]["message"] == "Method not found"
    assert denial_status(response, modern) == (404 if modern else 200)


def test_denials_ride_on_an_ordinary_answer() -> None:
    for reason in (Reason.TOOL_DENIED, Reason.BACKEND_NOT_GRANTED):
        assert denial_status(denial(1, reason, TOOL, True), True) == 200


def test_what_the_specification_has_no_answer_for_says_why() -> None:
    response = denial(1, Reason.BACKEND_NOT_GRANTED, TOOL, False)
    error = response["error"]
    assert error["message"] == Reason.BACKEND_NOT_GRANTED.sentence
    assert error["data"] == {"reason": "backend_not_granted"}
    other = denial(1, Reason.EGRESS_DENIED, None, False)["error"]["code"]
    assert denial(1, Reason.TOOL_DENIED, None, False)["error"]["code"] == OTHER_POLICY_CODE
    assert len({error["code"], other, OTHER_POLICY_CODE}) == 3


def test_codes_of_ours_are_distinct_and_outside_the_reserved_range() -> None:
    codes = [*POLICY_CODES.values(), OTHER_POLICY_CODE]
    assert len(set(codes)) == len(codes)
    assert not any(-32768 <= code <= -32000 for code in codes)


def test_a_denial_is_a_message_with_the_id_of_the_request() -> None:
    message = classify(denial("x", Reason.TOOL_DENIED, TOOL, True))
    assert (message.kind, message.id) == (Kind.ERROR, "x")


def test_what_is_no_json_is_a_parse_error_without_id() -> None:
    status, response = refusal(JsonRefused(Reason.JSON_DUPLICATE_KEY, "the key 'a' appears twice"), 5)
    assert (status, response["id"]) == (400, None)
    assert response["error"]["code"] == -32700
    assert response["error"]["data"] == {"reason": "json_duplicate_key"}


def test_what_is_no_message_is_an_invalid_request() -> None:
    refused = JsonRpcRefused(Reason.JSONRPC_HYBRID, "both", 3)
    status, response = refusal(refused)
    assert (status, response["id"], response["error"]["code"]) == (400, 3, -32600)
    assert refusal(refused, 9)[1]["id"] == 9


def test_what_breaks_mcp_is_answered_with_its_own_status_and_code() -> None:
    assert refusal(malformed("x"), 1) == (
        200,
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "x"}},
    )
    status, response = refusal(header_mismatch("y"), "a")
    assert (status, response["id"], response["error"]["code"]) == (400, "a", -32020)
