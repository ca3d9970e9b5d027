from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mesh.protocol.ext_authz import CheckDenied, CheckUnusable, Put
from mesh.protocol.ext_authz_grpc import CheckAttributes, check_request, check_response
from tests.support.authorizing import messages

CALL = CheckAttributes(
    source="spiffe://test.mesh/ns/agents/sa/triage",
    destination="spiffe://test.mesh/ns/tools/sa/github",
    time=1_700_000_000_250_000_000,
    method="POST",
    path="/mcp?tenant=a",
    host="github.tools.svc:8080",
    scheme="http",
    headers={":path": "/mcp?tenant=a", "x-tenant": "a, b"},
    size=17,
    body=b'{"method":"ping"}',
    mcp={"method": "tools/call", "params": {"name": "get-sum"}},
)


def read(attributes: CheckAttributes) -> Any:
    return messages()["CheckRequest"].FromString(check_request(attributes)).attributes


def test_a_service_reads_who_asks_for_what() -> None:
    told = read(CALL)
    assert told.source.principal == CALL.source
    assert told.destination.principal == CALL.destination
    assert told.request.time.ToNanoseconds() == CALL.time
    http = told.request.http
    assert (http.method, http.path, http.host, http.scheme) == ("POST", CALL.path, CALL.host, "http")
    assert (dict(http.headers), http.size, http.protocol) == (CALL.headers, 17, "HTTP/1.1")
    assert (http.body, http.raw_body) == ('{"method":"ping"}', b"")


@pytest.mark.parametrize("namespace", ["mcp_proxy", "envoy.filters.http.mcp"])
def test_what_the_body_says_stands_where_envoys_mcp_filter_puts_it(namespace: str) -> None:
    told = read(CALL).metadata_context.filter_metadata[namespace]
    assert told["method"] == "tools/call"
    assert told["params"]["name"] == "get-sum"


def test_of_a_batch_every_message_is_told_and_none_stands_for_all() -> None:
    one: dict[str, Any] = {"method": "ping"}
    told = read(replace(CALL, mcp={"batch": [one, one]})).metadata_context.filter_metadata["mcp_proxy"]
    assert [dict(each) for each in told["batch"]] == [one, one]
    assert "method" not in told


def test_what_is_no_mcp_has_no_metadata() -> None:
    assert not read(replace(CALL, mcp=None)).HasField("metadata_context")


def test_an_empty_name_is_told_too() -> None:
    told = read(replace(CALL, mcp={"method": ""})).metadata_context.filter_metadata["mcp_proxy"]
    assert told["method"] == ""


def test_a_body_that_is_no_text_is_told_as_bytes_and_an_unknown_size_as_minus_one() -> None:
    http = read(replace(CALL, body=b"\xff\xfe", size=-1)).request.http
    assert (http.body, http.raw_body, http.size) == ("", b"\xff\xfe", -1)


def ok(**fields: Any) -> bytes:
    made = messages()
    response = made["CheckResponse"](status=made["Status"](), ok_response=made["OkHttpResponse"](**fields))
    return bytes(response.SerializeToString())


def option(key: str, value: str = "", **more: Any) -> Any:
    made = messages()
    raw = more.pop("raw", b"")
    return made["HeaderValueOption"](header=made["HeaderValue"](key=key, value=value, raw_value=raw), **more)


def test_a_status_of_zero_is_a_yes() -> None:
    made = messages()
    assert not check_response(made["CheckResponse"](status=made["Status"]()).SerializeToString()).puts
    assert not check_response(
        made["CheckResponse"](ok_response=made["OkHttpResponse"]()).SerializeToString()
    ).puts


@pytest.mark.parametrize("code", [1, 7, 16, -1])
def test_every_other_status_is_a_no_even_beside_an_ok_response(code: int) -> None:
    made = messages()
    response = made["CheckResponse"](status=made["Status"](code=code), ok_response=made["OkHttpResponse"]())
    with pytest.raises(CheckDenied):
        check_response(response.SerializeToString())


def test_a_denied_response_is_a_no_whatever_the_status() -> None:
    made = messages()
    response = made["CheckResponse"](status=made["Status"](), denied_response=made["DeniedHttpResponse"]())
    with pytest.raises(CheckDenied, match="denied_response"):
        check_response(response.SerializeToString())


@pytest.mark.parametrize(
    "encoded", [b"", b"\x20\x01", b"\x08\x00", b"\x0a\x02\x0a\x00", b"\xff", b"\x1a\x02\x2a"]
)
def test_what_says_neither_is_no_yes(encoded: bytes) -> None:
    with pytest.raises(CheckUnusable):
        check_response(encoded)


def test_fields_are_set_appended_and_removed() -> None:
    true = messages()["BoolValue"](value=True)
    said = check_response(
        ok(
            headers=[
                option("X-User", "ann"),
                option("x-role", "b", append=true),
                option("x-raw", raw=b"\xe9"),
                option("x-new", "n", append_action=1),
                option("x-old", "o", append_action=3),
                option("x-over", "v", append_action=2),
            ],
            headers_to_remove=["Authorization"],
        )
    )
    assert said.puts == (
        (Put.SET, b"x-user", b"ann"),
        (Put.APPEND, b"x-role", b"b"),
        (Put.SET, b"x-raw", b"\xe9"),
        (Put.ADD_IF_ABSENT, b"x-new", b"n"),
        (Put.SET_IF_PRESENT, b"x-old", b"o"),
        (Put.SET, b"x-over", b"v"),
    )
    assert said.removed == {b"authorization"}


@pytest.mark.parametrize(
    "key", ["host", ":path", "content-length", "transfer-encoding", "mcp-name", "connection"]
)
def test_what_was_decided_and_framed_cannot_be_changed(key: str) -> None:
    said = check_response(ok(headers=[option(key, "x")], headers_to_remove=[key]))
    assert (said.puts, said.removed) == ((), frozenset())


@pytest.mark.parametrize(("key", "value"), [("x y", "a"), ("", "a"), ("x-a", "b\r\nevil: 1"), ("x-a", "\0")])
def test_a_field_that_would_break_the_request_makes_the_answer_unusable(key: str, value: str) -> None:
    with pytest.raises(CheckUnusable):
        check_response(ok(headers=[option(key, value)]))


def test_a_query_that_shall_change_makes_the_answer_unusable() -> None:
    with pytest.raises(CheckUnusable, match="query"):
        check_response(ok(query_parameters_to_remove=["token"]))


def test_changes_have_a_limit() -> None:
    with pytest.raises(CheckUnusable, match="more than"):
        check_response(ok(headers=[option(f"x-{n}", "v") for n in range(300)]))
