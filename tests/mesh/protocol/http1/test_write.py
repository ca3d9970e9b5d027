"""What is written, and which fields travel beyond one connection."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.heads import Headers
from mesh.protocol.http1.write import (
    LAST_CHUNK,
    chunk,
    encode_request_head,
    encode_response_head,
    end_to_end,
)


def test_request_head_is_written_line_by_line() -> None:
    head = encode_request_head("POST", b"/mcp", [(b"host", b"a"), (b"x", b"")])
    assert head == b"POST /mcp HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n"


def test_response_head_is_written_line_by_line() -> None:
    assert encode_response_head(204, b"No Content", []) == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_chunks_carry_their_size_in_hexadecimal() -> None:
    assert chunk(b"x" * 26) + LAST_CHUNK == b"1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"


def test_empty_chunk_would_end_the_body_and_is_not_written() -> None:
    assert chunk(b"") == b""


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        (b"/", b"x", b"a\r\nContent-Length: 5"),
        (b"/", b"x", b"a\nb"),
        (b"/", b"x", b"a\rb"),
        (b"/", b"x", b"a\0b"),
        (b"/", b"x: y\r\nz", b"a"),
        (b"/ HTTP/1.1\r\nx: y\r\n\r\n", b"x", b"a"),
    ],
)
def test_line_break_in_a_part_is_never_written(target: bytes, name: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="line break"):
        encode_request_head("GET", target, [(name, value)])


def test_line_break_in_a_reason_phrase_is_never_written() -> None:
    with pytest.raises(ValueError, match="line break"):
        encode_response_head(200, b"OK\r\nx: y", [])


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"proxy-something-new",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ],
)
def test_hop_by_hop_field_stays_behind(name: bytes) -> None:
    assert end_to_end([(b"host", b"a"), (name, b"x"), (b"accept", b"*/*")]) == [
        (b"host", b"a"),
        (b"accept", b"*/*"),
    ]


@pytest.mark.parametrize(
    ("connection", "dropped"),
    [
        ([b"x-one"], {b"x-one"}),
        ([b"X-One , X-Two"], {b"x-one", b"x-two"}),
        ([b"x-one", b"close, x-two"], {b"x-one", b"x-two"}),
        ([b"keep-alive"], set()),
        ([b"close"], set()),
        ([b", ,"], set()),
        ([b"x-three"], set()),
    ],
)
def test_what_connection_names_stays_behind(connection: list[bytes], dropped: set[bytes]) -> None:
    headers: Headers = [(b"x-one", b"1"), (b"x-two", b"2"), (b"priority", b"u=1")]
    sent = headers + [(b"connection", value) for value in connection]
    assert end_to_end(sent) == [field for field in headers if field[0] not in dropped]


@pytest.mark.parametrize(
    "name",
    [
        b"a2a-version",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"host",
        b"mcp-method",
        b"mcp-name",
        b"mcp-protocol-version",
        b"mcp-session-id",
        b"set-cookie",
        b"traceparent",
        b"x-a2a-extensions",
        b"x-forwarded-for",
    ],
)
def test_sender_cannot_have_an_end_to_end_field_dropped(name: bytes) -> None:
    headers: Headers = [(name, b"x"), (b"connection", b"close, " + name.upper())]
    assert end_to_end(headers) == [(name, b"x")]


def test_repeated_fields_keep_their_order() -> None:
    headers: Headers = [(b"set-cookie", b"a"), (b"x", b"1"), (b"set-cookie", b"b")]
    assert end_to_end(headers) == headers
