"""The table of malformed and ambiguous responses: each is refused with a reason, or read in the one way shown.

Every entry is read at once and byte by byte, and the two must agree on all that came out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mesh.protocol.http1.limits import HttpLimits
from mesh.reasons import Reason

LIMITS = HttpLimits(head_bytes=1024, headers=20, body_bytes=1000, chunk_line_bytes=64, interim=3)

MALFORMED = Reason.HTTP_MALFORMED
LENGTH = Reason.HTTP_AMBIGUOUS_LENGTH
HEADER = Reason.HTTP_BAD_HEADER
CHUNK = Reason.HTTP_BAD_CHUNK
VERSION = Reason.HTTP_VERSION
HEAD = Reason.HTTP_HEAD_TOO_LARGE
BODY = Reason.HTTP_BODY_TOO_LARGE
TRUNCATED = Reason.HTTP_TRUNCATED
UPGRADE = Reason.HTTP_UPGRADE
SURPLUS = Reason.UPSTREAM_MALFORMED


def answer(*fields: bytes, body: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n" + body


# Entries name the method of the request that is answered.
REFUSED_RESPONSES: list[tuple[str, str, bytes, Reason]] = [
    ("length and coding", "GET", answer(b"Content-Length: 1", b"Transfer-Encoding: chunked"), LENGTH),
    ("two lengths", "GET", answer(b"Content-Length: 1", b"Content-Length: 2", body=b"x"), LENGTH),
    ("two equal lengths", "GET", answer(b"Content-Length: 1", b"Content-Length: 1", body=b"x"), LENGTH),
    ("length negative", "GET", answer(b"Content-Length: -1"), LENGTH),
    ("length with plus", "GET", answer(b"Content-Length: +1", body=b"x"), LENGTH),
    ("length list", "GET", answer(b"Content-Length: 1, 1", body=b"x"), LENGTH),
    ("length beyond the limit", "GET", answer(b"Content-Length: 1001"), BODY),
    ("body until close beyond the limit", "GET", answer(body=b"x" * 1001), BODY),
    ("coding gzip, chunked", "GET", answer(b"Transfer-Encoding: gzip, chunked"), LENGTH),
    ("coding chunked, identity", "GET", answer(b"Transfer-Encoding: chunked, identity"), LENGTH),
    ("two codings", "GET", answer(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"), LENGTH),
    ("coding in HTTP/1.0", "GET", answer(b"Transfer-Encoding: chunked", line=b"HTTP/1.0 200 OK"), LENGTH),
    ("length in 204", "GET", answer(b"Content-Length: 1", line=b"HTTP/1.1 204 No Content"), LENGTH),
    ("coding in 204", "GET", answer(b"Transfer-Encoding: chunked", line=b"HTTP/1.1 204 No Content"), LENGTH),
    ("length in 100", "GET", answer(b"Content-Length: 1", line=b"HTTP/1.1 100 Continue"), LENGTH),
    ("coding in a tunnel", "CONNECT", answer(b"Transfer-Encoding: chunked"), LENGTH),
    ("length in a tunnel", "CONNECT", answer(b"Content-Length: 3"), LENGTH),
    ("length malformed for HEAD", "HEAD", answer(b"Content-Length: x"), LENGTH),
    ("body for HEAD", "HEAD", answer(b"Content-Length: 2", body=b"hi"), SURPLUS),
    ("body in 204", "GET", answer(line=b"HTTP/1.1 204 No Content", body=b"hi"), SURPLUS),
    (
        "body in 304",
        "GET",
        answer(b"Content-Length: 2", line=b"HTTP/1.1 304 Not Modified", body=b"hi"),
        SURPLUS,
    ),
    ("more than the length", "GET", answer(b"Content-Length: 2", body=b"hi!"), SURPLUS),
    ("line break after the body", "GET", answer(b"Content-Length: 2", body=b"hi\r\n"), SURPLUS),
    ("second response", "GET", answer(b"Content-Length: 0") + answer(b"Content-Length: 0"), SURPLUS),
    ("more than the chunks", "GET", answer(b"Transfer-Encoding: chunked", body=b"0\r\n\r\nx"), SURPLUS),
    (
        "more after the last response",
        "GET",
        answer(b"Content-Length: 0", b"Connection: close", body=b"x"),
        SURPLUS,
    ),
    (
        "switching protocols",
        "GET",
        answer(b"Upgrade: h2c", line=b"HTTP/1.1 101 Switching Protocols"),
        UPGRADE,
    ),
    ("too many interim responses", "GET", answer(line=b"HTTP/1.1 103 Early Hints") * 4, MALFORMED),
    ("status 99", "GET", answer(line=b"HTTP/1.1 099 X"), MALFORMED),
    ("status 600", "GET", answer(line=b"HTTP/1.1 600 X"), MALFORMED),
    ("status negative", "GET", answer(line=b"HTTP/1.1 -200 OK"), MALFORMED),
    ("status of two digits", "GET", answer(line=b"HTTP/1.1 20 OK"), MALFORMED),
    ("status of four digits", "GET", answer(line=b"HTTP/1.1 2000 OK"), MALFORMED),
    ("status no number", "GET", answer(line=b"HTTP/1.1 OK"), MALFORMED),
    ("two spaces before the status", "GET", answer(line=b"HTTP/1.1  200 OK"), MALFORMED),
    ("control character in the phrase", "GET", answer(line=b"HTTP/1.1 200 O\x01K"), MALFORMED),
    ("NUL in the phrase", "GET", answer(line=b"HTTP/1.1 200 O\0K"), MALFORMED),
    ("bare CR in the phrase", "GET", answer(line=b"HTTP/1.1 200 OK\rX: y"), MALFORMED),
    ("HTTP/2", "GET", answer(line=b"HTTP/2 200 OK"), VERSION),
    ("HTTP/1.2", "GET", answer(line=b"HTTP/1.2 200 OK"), VERSION),
    ("version in lower case", "GET", answer(line=b"http/1.1 200 OK"), MALFORMED),
    ("another protocol", "GET", answer(line=b"ICY 200 OK"), MALFORMED),
    ("HTTP/0.9 body", "GET", b"<html>hello</html>", MALFORMED),
    ("CRLF before the response", "GET", b"\r\n" + answer(b"Content-Length: 0"), MALFORMED),
    ("empty status line", "GET", b"\r\nContent-Length: 0\r\n\r\n", MALFORMED),
    ("nothing but a blank line", "GET", b"\r\n\r\n", MALFORMED),
    ("bare LF", "GET", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", MALFORMED),
    ("folded value", "GET", answer(b"X: a", b" b"), HEADER),
    ("space before the colon", "GET", answer(b"Content-Length : 5"), HEADER),
    ("no colon", "GET", answer(b"X"), HEADER),
    ("NUL in a value", "GET", answer(b"X: \0"), HEADER),
    ("two content types", "GET", answer(b"Content-Type: a/b", b"Content-Type: c/d"), HEADER),
    ("two locations", "GET", answer(b"Location: /a", b"Location: /b"), HEADER),
    ("too many fields", "GET", answer(*[b"X: y"] * 21), HEAD),
    ("head too large", "GET", answer(b"X: " + b"y" * 1024), HEAD),
    (
        "chunk size with 0x",
        "GET",
        answer(b"Transfer-Encoding: chunked", body=b"0x1\r\nx\r\n0\r\n\r\n"),
        CHUNK,
    ),
    (
        "chunk size ends in bare LF",
        "GET",
        answer(b"Transfer-Encoding: chunked", body=b"1\nx\r\n0\r\n\r\n"),
        CHUNK,
    ),
    ("chunk without CRLF", "GET", answer(b"Transfer-Encoding: chunked", body=b"1\r\nx0\r\n\r\n"), CHUNK),
    ("chunks beyond the limit", "GET", answer(b"Transfer-Encoding: chunked", body=b"3e9\r\n"), BODY),
    ("trailer malformed", "GET", answer(b"Transfer-Encoding: chunked", body=b"0\r\n: x\r\n\r\n"), HEADER),
    ("no answer", "GET", b"", TRUNCATED),
    ("head cut off", "GET", b"HTTP/1.1 200 OK\r\n", TRUNCATED),
    ("body cut off", "GET", answer(b"Content-Length: 3", body=b"hi"), TRUNCATED),
    ("last chunk missing", "GET", answer(b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n"), TRUNCATED),
    ("only interim responses", "GET", answer(line=b"HTTP/1.1 100 Continue"), TRUNCATED),
]

# Read in one way: method, bytes, status, body_length, body.
READ_RESPONSES: list[tuple[str, str, bytes, int, int, bytes]] = [
    ("length for HEAD", "HEAD", answer(b"Content-Length: 5"), 200, 0, b""),
    ("coding for HEAD", "HEAD", answer(b"Transfer-Encoding: chunked"), 200, 0, b""),
    ("length in 304", "GET", answer(b"Content-Length: 5", line=b"HTTP/1.1 304 Not Modified"), 304, 0, b""),
    ("length 0 in 204", "GET", answer(b"Content-Length: 0", line=b"HTTP/1.1 204 No Content"), 204, 0, b""),
    ("no phrase", "GET", answer(b"Content-Length: 1", line=b"HTTP/1.1 200 ", body=b"x"), 200, 1, b"x"),
    (
        "no phrase and no space",
        "GET",
        answer(b"Content-Length: 1", line=b"HTTP/1.1 200", body=b"x"),
        200,
        1,
        b"x",
    ),
    ("phrase beyond ASCII", "GET", answer(b"Content-Length: 0", line="HTTP/1.1 200 Ä".encode()), 200, 0, b""),
    ("body until close", "GET", answer(body=b"to the end"), 200, -2, b"to the end"),
    ("empty body until close", "GET", answer(), 200, -2, b""),
    ("HTTP/1.0 until close", "GET", answer(line=b"HTTP/1.0 200 OK", body=b"x"), 200, -2, b"x"),
    (
        "HTTP/1.0 with length",
        "GET",
        answer(b"Content-Length: 1", line=b"HTTP/1.0 200 OK", body=b"x"),
        200,
        1,
        b"x",
    ),
    (
        "chunks",
        "GET",
        answer(b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\nA: b\r\n\r\n"),
        200,
        -1,
        b"x",
    ),
    (
        "CONNECT refused with a body",
        "CONNECT",
        answer(b"Content-Length: 2", line=b"HTTP/1.1 403 No", body=b"no"),
        403,
        2,
        b"no",
    ),
    (
        "cookies may repeat",
        "GET",
        answer(b"Set-Cookie: a", b"Set-Cookie: b", b"Content-Length: 0"),
        200,
        0,
        b"",
    ),
]


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


Read = Callable[..., Any]


@pytest.mark.parametrize(
    ("method", "data", "reason"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED_RESPONSES]
)
def test_response_is_refused_with_the_same_reason_however_it_arrives(
    read_responses: Read, method: str, data: bytes, reason: Reason
) -> None:
    outcome = read_responses([data], method, limits=LIMITS)
    assert outcome.refused is reason
    assert outcome.status == 502
    bytewise = read_responses(one_by_one(data), method, limits=LIMITS)
    assert (bytewise.refused, bytewise.status) == (reason, 502)
    assert len(bytewise.events) == len(outcome.events)


@pytest.mark.parametrize(
    ("method", "data", "status", "length", "body"),
    [pytest.param(*row[1:], id=row[0]) for row in READ_RESPONSES],
)
def test_response_is_read_in_one_way_however_it_arrives(
    read_responses: Read, method: str, data: bytes, status: int, length: int, body: bytes
) -> None:
    outcome = read_responses([data], method, limits=LIMITS)
    assert outcome.refused is None
    assert (outcome.events[0].status, outcome.events[0].body_length) == (status, length)
    assert outcome.events[1:] == ([body, "end"] if body else ["end"])
    assert read_responses(one_by_one(data), method, limits=LIMITS) == outcome
