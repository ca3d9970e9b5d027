from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import Message, classify
from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.headers import check_headers, decode_value, encode_value, mirror_headers
from mesh.reasons import Reason

Make = Callable[..., Message]
Mirrors = Callable[..., Headers]

MISMATCH = (Reason.MCP_HEADER_MISMATCH, -32020, 400)
UNKNOWN = (Reason.MCP_UNKNOWN_VERSION, -32022, 400)


def refused(headers: Headers, message: Message) -> tuple[Reason, int, int]:
    with pytest.raises(McpRefused) as caught:
        check_headers(headers, message)
    return caught.value.reason, caught.value.code, caught.value.http_status


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("tools/call", {"name": "search"}, "search"),
        ("prompts/get", {"name": "greet"}, "greet"),
        ("resources/read", {"uri": "file:///a"}, "file:///a"),
        ("tasks/get", {"taskId": "7"}, "7"),
        ("tasks/update", {"taskId": "7"}, "7"),
        ("tasks/cancel", {"taskId": "7"}, "7"),
        ("tools/list", {}, None),
        ("completion/complete", {"ref": {}}, None),
        ("acme/unknown", {}, None),
    ],
)
def test_headers_that_agree_pass(
    modern: Make, mirrors: Mirrors, method: str, params: dict[str, Any], name: str | None
) -> None:
    message = modern(method, **params)
    headers = mirrors(method, name)
    check_headers(headers, message)
    assert mirror_headers(message, headers) is headers


@pytest.mark.parametrize(
    ("method", "params", "given"),
    [
        ("tools/call", {"name": "search"}, ("tools/call", "delete")),
        ("tools/call", {"name": "search"}, ("tools/call", "Search")),
        ("tools/call", {"name": "search"}, ("tools/call", "")),
        ("tools/call", {"name": "search"}, ("tools/call", None)),
        ("tools/call", {"name": "search"}, ("TOOLS/CALL", "search")),
        ("tools/call", {"name": "search"}, ("tools/list", "search")),
        ("tools/call", {"name": "search"}, (None, "search")),
        ("tools/call", {"name": ["search"]}, ("tools/call", "search")),
        ("tools/call", {"name": "\xe9"}, ("tools/call", "\xe9")),
        ("resources/read", {"uri": "file:///a"}, ("resources/read", "file:///b")),
        ("resources/read", {"uri": "file:///a"}, ("resources/read", None)),
        ("prompts/get", {"name": "a"}, ("prompts/get", None)),
        ("tasks/get", {"taskId": "7"}, ("tasks/get", "8")),
        ("tools/list", {}, (None, None)),
        ("tools/list", {}, ("prompts/list", None)),
    ],
)
def test_headers_that_disagree_or_are_missing_are_refused(
    modern: Make, mirrors: Mirrors, method: str, params: dict[str, Any], given: tuple[str | None, str | None]
) -> None:
    assert refused(mirrors(*given), modern(method, **params)) == MISMATCH


def test_a_task_may_be_named_in_the_body_alone(modern: Make, mirrors: Mirrors) -> None:
    check_headers(mirrors("tasks/get"), modern("tasks/get", taskId="7"))


@pytest.mark.parametrize("repeated", [b"mcp-protocol-version", b"mcp-method", b"mcp-name"])
@pytest.mark.parametrize("same", [True, False])
def test_a_repeated_header_is_refused(modern: Make, mirrors: Mirrors, repeated: bytes, same: bool) -> None:
    headers = mirrors("tools/call", "search")
    value = dict(headers)[repeated] if same else b"other"
    assert refused([*headers, (repeated, value)], modern("tools/call", name="search")) == MISMATCH


def test_other_headers_may_repeat(modern: Make, mirrors: Mirrors) -> None:
    check_headers(
        [*mirrors("tools/list"), (b"mcp-param-x", b"1"), (b"mcp-param-x", b"2")], modern("tools/list")
    )


@pytest.mark.parametrize("version", [None, "2025-11-25", "2025-03-26", "2099-01-01", ""])
def test_a_version_header_that_is_not_that_of_the_body_is_refused(
    modern: Make, mirrors: Mirrors, version: str | None
) -> None:
    assert refused(mirrors("tools/list", version=version), modern("tools/list")) == MISMATCH


@pytest.mark.parametrize("version", [1, ["2026-07-28"], {}, True])
def test_a_version_in_the_body_that_is_no_string_agrees_with_no_header(
    modern: Make, mirrors: Mirrors, version: Any
) -> None:
    assert refused(mirrors("tools/list"), modern("tools/list", version=version)) == MISMATCH


def test_a_modern_header_over_a_body_without_version_is_left_to_the_server(
    legacy: Make, mirrors: Mirrors
) -> None:
    check_headers(mirrors("tools/call", "search"), legacy("tools/call", name="search"))
    check_headers(mirrors(None), legacy("tools/call", name="search"))


def test_contradictions_are_refused_even_then(legacy: Make, mirrors: Mirrors) -> None:
    message = legacy("tools/call", name="search")
    assert refused(mirrors("tools/call", "delete"), message) == MISMATCH
    assert refused(mirrors("tools/list"), message) == MISMATCH


def test_legacy_requests_need_no_headers(legacy: Make, mirrors: Mirrors) -> None:
    for version in (None, "2025-06-18", "2025-11-25"):
        check_headers(mirrors(None, version=version), legacy("tools/call", name="search"))


def test_legacy_requests_must_not_contradict_themselves_either(legacy: Make, mirrors: Mirrors) -> None:
    headers = mirrors("tools/call", "search", version="2025-11-25")
    check_headers(headers, legacy("tools/call", name="search"))
    assert refused(headers, legacy("tools/call", name="delete")) == MISMATCH


def test_an_unknown_version_is_refused_with_what_is_supported(modern: Make, mirrors: Mirrors) -> None:
    message = modern("tools/call", version="2099-01-01", name="x")
    headers = mirrors("tools/call", "x", version="2099-01-01")
    assert refused(headers, message) == UNKNOWN
    with pytest.raises(McpRefused) as caught:
        check_headers(headers, message)
    assert caught.value.data == {"supported": ["2026-07-28"], "requested": "2099-01-01"}


def test_an_unknown_version_is_refused_when_the_header_alone_says_it(legacy: Make, mirrors: Mirrors) -> None:
    assert refused(mirrors(None, version="1999-01-01"), legacy("tools/list")) == UNKNOWN


def test_versions_are_agreed_on_with_the_server(modern: Make, legacy: Make, mirrors: Mirrors) -> None:
    discover = modern("server/discover", version="v999.0.0")
    check_headers(mirrors("server/discover", version="v999.0.0"), discover)
    assert refused(mirrors("server/discover"), discover) == MISMATCH
    check_headers(mirrors(None, version="v999.0.0"), legacy("initialize", protocolVersion="v999.0.0"))


def test_notifications_need_no_headers_but_must_not_contradict_them(mirrors: Mirrors) -> None:
    value = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    message = classify(value)
    check_headers([], message)
    check_headers(mirrors(None), message)
    check_headers(mirrors(None, version="2099-01-01"), message)
    assert refused(mirrors("tools/call"), message) == MISMATCH
    meta = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
    modern = classify({**value, "params": meta})
    check_headers([], modern)
    assert refused(mirrors(None, version="2025-11-25"), modern) == MISMATCH


def test_responses_have_no_headers(mirrors: Mirrors) -> None:
    message = classify({"jsonrpc": "2.0", "id": 1, "result": {}})
    check_headers(mirrors("tools/call", "x"), message)
    assert mirror_headers(message, mirrors("tools/call", "x")) == mirrors("tools/call", "x")


# The examples of the specification (2026-07-28, Streamable HTTP, "Value Encoding").
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("us-west1", b"us-west1"),
        ("Hello, \u4e16\u754c", b"=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", b"=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", b"=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", b"=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("a b\tc", b"a b\tc"),
        ("", b""),
        ("\x00", b"=?base64?AA==?="),
        ("=?base64?=", b"=?base64?="),
    ],
)
def test_values_are_encoded_as_the_specification_shows(text: str, value: bytes) -> None:
    assert encode_value(text) == value
    assert decode_value(value) == text


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.from_regex(r"=\?base64\?[A-Za-z0-9+/=]*\?="))
def test_every_text_survives_a_header(text: str) -> None:
    value = encode_value(text)
    assert value.isascii()
    assert value == value.strip()
    assert not any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in value)
    assert decode_value(value) == text


@pytest.mark.parametrize(
    "value",
    [
        *[b"=?base64?!!!?=", b"=?base64?QQ?=", b"=?base64?QR==?=", b"=?base64?/w==?=", b"=?base64?QQ==\n?="],
        *[b"\xe9", "\u4e16".encode()],
    ],
)
def test_a_value_that_cannot_be_read_equals_nothing(value: bytes) -> None:
    assert decode_value(value) is None


@pytest.mark.parametrize("value", [b"=?BASE64?QQ==?=", b"=?base64?QQ==", b"base64?QQ==?="])
def test_the_sentinel_is_exact(value: bytes) -> None:
    assert decode_value(value) == value.decode()


def test_an_encoded_name_agrees_with_the_body(modern: Make) -> None:
    message = modern("tools/call", name="\u0441earch")
    headers = [
        (b"mcp-protocol-version", b"2026-07-28"),
        (b"mcp-method", b"tools/call"),
        (b"mcp-name", encode_value("\u0441earch")),
    ]
    check_headers(headers, message)
    assert refused([*headers[:2], (b"mcp-name", encode_value("search"))], message) == MISMATCH


def test_the_method_has_no_encoded_form(modern: Make, mirrors: Mirrors) -> None:
    headers = mirrors("=?base64?dG9vbHMvbGlzdA==?=")
    assert refused(headers, modern("tools/list")) == MISMATCH


def test_mirroring_repairs_adds_and_drops(modern: Make) -> None:
    headers = [
        (b"host", b"a"),
        (b"mcp-name", b"old"),
        (b"mcp-param-region", b"eu"),
        (b"mcp-name", b"older"),
        (b"mcp-protocol-version", b"2026-07-28"),
    ]
    message = modern("tools/call", name="n\xe9w")
    mirrored = mirror_headers(message, headers)
    assert mirrored == [
        (b"host", b"a"),
        (b"mcp-name", encode_value("n\xe9w")),
        (b"mcp-param-region", b"eu"),
        (b"mcp-protocol-version", b"2026-07-28"),
        (b"mcp-method", b"tools/call"),
    ]
    check_headers(mirrored, message)
    assert mirror_headers(message, mirrored) is mirrored


def test_mirroring_drops_a_name_that_the_method_does_not_have(modern: Make, mirrors: Mirrors) -> None:
    headers = [*mirrors("prompts/list"), (b"mcp-name", b"x")]
    assert mirror_headers(modern("tools/list"), headers) == mirrors("tools/list")


def test_mirroring_keeps_an_agreeing_value_as_it_is_spelt(modern: Make, mirrors: Mirrors) -> None:
    headers = mirrors("wrong", "=?base64?c2VhcmNo?=")
    mirrored = mirror_headers(modern("tools/call", name="search"), headers)
    assert mirrored == mirrors("tools/call", "=?base64?c2VhcmNo?=")


def test_only_modern_requests_are_mirrored(modern: Make, legacy: Make, mirrors: Mirrors) -> None:
    headers = mirrors("wrong", "wrong")
    for message in (
        legacy("tools/call", name="x"),
        modern("tools/call", version=["2026-07-28"], name="x"),
        modern("tools/call", version="2025-11-25", name="x"),
        classify({"jsonrpc": "2.0", "method": "notifications/progress"}),
    ):
        assert mirror_headers(message, headers) is headers


def test_a_name_that_is_no_string_is_not_mirrored(modern: Make, mirrors: Mirrors) -> None:
    assert mirror_headers(modern("tasks/get", taskId=7), mirrors("tasks/get", "7")) == mirrors("tasks/get")


@given(name=st.text(st.characters(exclude_categories=["Cs"])), header=st.binary(max_size=12))
@example(name="a", header=b"a")
def test_what_passes_the_check_names_the_same_thing_to_every_reader(name: str, header: bytes) -> None:
    params = {"name": name, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
    message = classify({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    headers = [
        (b"mcp-protocol-version", b"2026-07-28"),
        (b"mcp-method", b"tools/call"),
        (b"mcp-name", header),
    ]
    try:
        check_headers(headers, message)
    except McpRefused:
        assert decode_value(header) != name
    else:
        assert decode_value(header) == name
    check_headers(mirror_headers(message, headers), message)
