"""Telling JSON-RPC from plain HTTP: whatever is not surely plain counts as JSON-RPC."""

from __future__ import annotations

import json

import pytest

from mesh.protocol.http1.heads import Headers, RequestHead
from sidecar.limits import Limits
from sidecar.proxy.sniff import looks_like_json, pending_ids, speaks_json_rpc

JSON: Headers = [(b"content-type", b"application/json")]
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}'


@pytest.mark.parametrize(
    ("media", "json_like"),
    [
        (b"application/json", True),
        (b"application/json; charset=utf-8", True),
        (b"APPLICATION/JSON", True),
        (b"application/vnd.api+json", True),
        (b"text/x-json", True),
        (b"application/x-www-form-urlencoded", False),
        (b"text/plain", False),
    ],
)
def test_the_media_type_says_json_in_any_spelling(media: bytes, json_like: bool) -> None:
    assert looks_like_json([(b"content-type", media)]) is json_like


def test_any_of_several_media_types_may_say_json() -> None:
    assert looks_like_json([(b"content-type", b"text/plain"), (b"content-type", b"application/json")])
    assert not looks_like_json([])


def post(*fields: tuple[bytes, bytes]) -> RequestHead:
    """The head of a POST with these fields."""
    return RequestHead("POST", b"/x", list(fields), 1, True, False, False, dict(fields))


@pytest.mark.parametrize(
    "body",
    [
        CALL,
        b" \r\n\t" + CALL,
        b'{"method":"tools/call","params":{"name":"drop"}}',
        b'{"METHOD":"tools/call","Params":{"name":"drop"}}',
        b'{"method":"tools/list","id":1}',
        b'{"id":1,"result":{}}',
        b'{"jsonrpc":"2.0"}',
        b"[" + CALL + b"]",
        b'[{"a":1},' + CALL + b"]",
        b'{"a":1,"\\u006dethod":"tools/call","id":1}',
        b"\xef\xbb\xbf" + CALL,
        CALL.decode().encode("utf-16"),
        CALL.decode().encode("utf-16-be"),
        CALL.decode().encode("utf-32"),
        CALL + CALL,
        CALL + b"\x00",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b"{",
        b"[" * 100 + b"]" * 100,
    ],
)
@pytest.mark.parametrize("media", [*JSON, (b"content-type", b"text/plain"), None])
def test_what_a_lenient_server_might_take_for_json_rpc_counts_as_it(
    body: bytes, media: tuple[bytes, bytes] | None
) -> None:
    assert speaks_json_rpc(post(media) if media else post(), body)


@pytest.mark.parametrize(
    "body",
    [
        *[b"", b'{"client_name":"a"}', b'[{"a":1}]', b"[]", b"1", b'"method"', b"null"],
        *[b'{"method":"card","amount":3}', b'{"params":{}}', b'{"id":7}', b'{"method":1,"id":2}'],
    ],
)
def test_strict_json_that_is_no_message_is_plain(body: bytes) -> None:
    assert not speaks_json_rpc(post(*JSON), body)


@pytest.mark.parametrize("body", [b"text", b"--b\r\n\r\nhello", b"\x1f\x8b\x08\x00", b"%PDF-1.7", b"<a/>"])
def test_what_is_no_json_at_all_is_plain_unless_its_media_type_says_json(body: bytes) -> None:
    assert not speaks_json_rpc(post((b"content-type", b"application/octet-stream")), body)
    assert not speaks_json_rpc(post(), body)
    assert speaks_json_rpc(post(*JSON), body)


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"x"])
def test_what_is_compressed_cannot_be_told_from_json_rpc(coding: bytes) -> None:
    assert speaks_json_rpc(post((b"content-encoding", coding)), b"anything")


@pytest.mark.parametrize(
    ("media", "body", "rpc"),
    [
        (b"application/x-www-form-urlencoded", b"grant_type=client_credentials&scope=a%20b", False),
        (b"Application/X-WWW-Form-Urlencoded; charset=utf-8", b"a=b", False),
        (b"application/x-www-form-urlencoded", CALL, True),
        (b'application/x-www-form-urlencoded; x="application/json"', CALL, True),
        (b"application/x-www-form-urlencoded-json", b"a=b", True),
    ],
)
def test_a_form_is_plain_when_it_reads_like_one(media: bytes, body: bytes, rpc: bool) -> None:
    assert speaks_json_rpc(post((b"content-type", media)), body) is rpc


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "x"}, (1,)),
        ({"jsonrpc": "2.0", "id": "a", "method": "x"}, ("a",)),
        ({"jsonrpc": "2.0", "method": "x"}, ()),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, ()),
        (
            [{"jsonrpc": "2.0", "id": 2, "method": "x"}, {"jsonrpc": "2.0", "id": "b", "method": "y"}],
            (2, "b"),
        ),
        ({"id": 1, "method": "x"}, ()),
        ([], ()),
        ([{"jsonrpc": "2.0", "id": i, "method": "x"} for i in range(51)], ()),
    ],
)
def test_the_ids_of_requests_that_wait_are_found(value: object, ids: tuple[object, ...]) -> None:
    assert pending_ids(json.dumps(value).encode(), Limits()) == ids


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"id":1,"id":2}'])
def test_a_body_that_cannot_be_read_has_no_ids(body: bytes) -> None:
    assert pending_ids(body, Limits()) == ()


@pytest.mark.parametrize(
    "body",
    [
        b'{"Method":"tools/call","id":1,"params":{"name":"drop"},"method":null}',
        b'{"method":null,"METHOD":"tools/call","id":1}',
    ],
)
def test_a_folded_name_counts_beside_the_plain_one(body: bytes) -> None:
    assert speaks_json_rpc(post(*JSON), body)


@pytest.mark.parametrize(
    ("charset", "rpc"), [(b"utf-7", True), (b'"UTF-7"', True), (b"utf-8", False), (b"iso-8859-1", False)]
)
def test_a_charset_that_hides_json_counts_as_json_rpc(charset: bytes, rpc: bool) -> None:
    head = post((b"content-type", b"text/plain; charset=" + charset))
    assert speaks_json_rpc(head, b'+AHs-"jsonrpc":"2.0"}') is rpc
