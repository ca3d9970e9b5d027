"""The table of malformed and ambiguous requests: each is refused with a reason, or read in the one way shown.

Every entry is read at once and byte by byte, and the two must agree on all that came out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.limits import HttpLimits
from mesh.reasons import Reason

LIMITS = HttpLimits(head_bytes=1024, headers=20, body_bytes=1000, chunk_line_bytes=64, interim=3)

MALFORMED = Reason.HTTP_MALFORMED
LENGTH = Reason.HTTP_AMBIGUOUS_LENGTH
HEADER = Reason.HTTP_BAD_HEADER
CHUNK = Reason.HTTP_BAD_CHUNK
HOST = Reason.HTTP_BAD_HOST
TARGET = Reason.HTTP_BAD_TARGET
VERSION = Reason.HTTP_VERSION
HEAD = Reason.HTTP_HEAD_TOO_LARGE
BODY = Reason.HTTP_BODY_TOO_LARGE
TRUNCATED = Reason.HTTP_TRUNCATED
UPGRADE = Reason.HTTP_UPGRADE
EXPECT = Reason.HTTP_EXPECTATION


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST /mcp HTTP/1.1", b"Host: a", *fields]) + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def get(target: bytes, host: bytes = b"a") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


REFUSED_REQUESTS: list[tuple[str, bytes, Reason]] = [
    # Where does the body end?
    (
        "length and coding",
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        LENGTH,
    ),
    (
        "coding and length",
        post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
        LENGTH,
    ),
    ("two lengths", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"), LENGTH),
    ("two equal lengths", post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), LENGTH),
    ("two lengths, other case", post(b"Content-Length: 5", b"CONTENT-LENGTH: 5", body=b"hello"), LENGTH),
    ("length with plus", post(b"Content-Length: +5", body=b"hello"), LENGTH),
    ("length with minus", post(b"Content-Length: -5", body=b"hello"), LENGTH),
    ("length with space inside", post(b"Content-Length: 5 0", body=b"hello"), LENGTH),
    ("length in hexadecimal", post(b"Content-Length: 0x5", body=b"hello"), LENGTH),
    ("length with underscore", post(b"Content-Length: 1_0", body=b"hello"), LENGTH),
    ("length list", post(b"Content-Length: 5, 5", body=b"hello"), LENGTH),
    ("length that looks octal", post(b"Content-Length: 010", body=b"hello"), LENGTH),
    ("length with fraction", post(b"Content-Length: 5.0", body=b"hello"), LENGTH),
    ("length in other digits", post("Content-Length: ٥".encode(), body=b"hello"), LENGTH),
    ("length after a tab", post(b"Content-Length:\t5", body=b"hello"), LENGTH),
    ("length empty", post(b"Content-Length:", body=b"hello"), LENGTH),
    ("length huge", post(b"Content-Length: 18446744073709551617", body=b"hello"), LENGTH),
    ("length beyond the limit", post(b"Content-Length: 1001"), BODY),
    ("coding identity", post(b"Transfer-Encoding: identity"), LENGTH),
    ("coding gzip, chunked", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), LENGTH),
    ("coding chunked, identity", post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), LENGTH),
    (
        "coding chunked twice in a list",
        post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
        LENGTH,
    ),
    ("coding xchunked", post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), LENGTH),
    ("coding with vertical tab", post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), HEADER),
    ("coding before a tab", post(b"Transfer-Encoding: chunked\t", body=b"0\r\n\r\n"), LENGTH),
    ("coding in quotes", post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), LENGTH),
    ("coding with parameter", post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), LENGTH),
    ("coding with leading comma", post(b"Transfer-Encoding: , chunked", body=b"0\r\n\r\n"), LENGTH),
    ("coding empty", post(b"Transfer-Encoding:"), LENGTH),
    ("two codings", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), LENGTH),
    (
        "two codings, second identity",
        post(b"Transfer-Encoding: chunked", b"transfer-encoding: identity"),
        LENGTH,
    ),
    (
        "coding in HTTP/1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        LENGTH,
    ),
    ("coding with space before colon", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), HEADER),
    # Lines.
    ("bare LF throughout", b"GET / HTTP/1.1\nHost: a\n\n", MALFORMED),
    ("bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", MALFORMED),
    ("bare LF after a field", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", MALFORMED),
    ("bare LF as blank line", b"GET / HTTP/1.1\r\nHost: a\r\n\nrest", MALFORMED),
    ("bare CR in a value", post(b"X: a\rb"), MALFORMED),
    ("bare CR hides a field", post(b"X: a\rContent-Length: 5"), MALFORMED),
    ("CR CR LF", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", MALFORMED),
    ("folded value", post(b"X: a", b" b"), HEADER),
    ("folded value with tab", post(b"X: a", b"\tb"), HEADER),
    ("folded before the first field", b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", HEADER),
    ("space before the colon", post(b"X : a"), HEADER),
    ("tab before the colon", post(b"X\t: a"), HEADER),
    ("no colon", post(b"X"), HEADER),
    ("no name", post(b": a"), HEADER),
    ("space in a name", post(b"X Y: a"), HEADER),
    ("parenthesis in a name", post(b"X(Y): a"), HEADER),
    ("non-ASCII name", post("Ä: a".encode()), HEADER),
    ("NUL in a name", post(b"X\0: a"), HEADER),
    ("NUL in a value", post(b"X: a\0b"), HEADER),
    ("escape character in a value", post(b"X: \x1b[2J"), HEADER),
    ("delete character in a value", post(b"X: a\x7f"), HEADER),
    # The request line.
    ("two CRLFs before the request", b"\r\n\r\n" + get(b"/"), MALFORMED),
    ("LF before the request", b"\n" + get(b"/"), MALFORMED),
    ("CR before the request", b"\r" + get(b"/"), MALFORMED),
    ("CR CR LF before the request", b"\r\r\n" + get(b"/"), MALFORMED),
    ("CRLF LF before the request", b"\r\n\n" + get(b"/"), MALFORMED),
    ("CRLF and space before the request", b"\r\n " + get(b"/"), MALFORMED),
    ("CRLF before a method in lower case", b"\r\npost / HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    ("CRLF before a request with bare CR", b"\r\nGET /# HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", MALFORMED),
    ("two CRLFs between requests", get(b"/") + b"\r\n\r\n" + get(b"/"), MALFORMED),
    ("LF behind a body", post(b"Content-Length: 2", body=b"ok\n") + get(b"/"), MALFORMED),
    ("half a CRLF behind the last", get(b"/") + b"\r", TRUNCATED),
    (
        "a request behind the last",
        post(b"Content-Length: 2", b"Connection: close", body=b"ok\r\n") + get(b"/"),
        MALFORMED,
    ),
    ("empty request line", b"\r\nHost: a\r\n\r\n", MALFORMED),
    ("nothing but a blank line", b"\r\n\r\n", MALFORMED),
    ("space before the request", b" " + get(b"/"), MALFORMED),
    ("TLS instead of HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01", MALFORMED),
    ("method in lower case", b"post / HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    ("method in mixed case", b"Post / HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    ("method no token", b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    ("method too long", b"G" * 33 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    ("tab in the request line", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    ("two spaces after the method", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    ("two spaces before the version", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    ("space after the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", MALFORMED),
    ("space in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    ("no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", VERSION),
    ("only a method", b"GET\r\nHost: a\r\n\r\n", MALFORMED),
    ("HTTP/0.9", b"GET /\r\n\r\n", VERSION),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", VERSION),
    ("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", VERSION),
    ("HTTP/1", b"GET / HTTP/1\r\nHost: a\r\n\r\n", VERSION),
    ("version in lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    ("another protocol", b"GET / ICAP/1.0\r\nHost: a\r\n\r\n", MALFORMED),
    # The target and Host.
    ("fragment", get(b"/a#b"), TARGET),
    ("non-ASCII target", get("/ä".encode()), TARGET),
    ("control character in the target", get(b"/a\x01b"), TARGET),
    ("quote in the target", get(b'/a"b'), TARGET),
    ("angle bracket in the target", get(b"/<script>"), TARGET),
    ("backslash in the path", get(b"/a\\..\\b"), TARGET),
    ("relative target", get(b"a/b"), TARGET),
    ("asterisk for GET", get(b"*"), TARGET),
    ("other scheme", get(b"ftp://a/", host=b"a"), TARGET),
    ("absolute with user information", get(b"http://u:p@a/", host=b"a"), TARGET),
    ("absolute without host", get(b"http:///x", host=b"a"), TARGET),
    ("absolute with a backslash", get(b"http://a/b\\c", host=b"a"), TARGET),
    ("absolute of another host", get(b"http://b/", host=b"a"), HOST),
    ("absolute of another port", get(b"http://a:8080/", host=b"a"), HOST),
    ("absolute with default port elsewhere", get(b"https://a/", host=b"a:80"), HOST),
    ("no Host", b"GET / HTTP/1.1\r\nX: y\r\n\r\n", HOST),
    ("no fields at all", b"GET / HTTP/1.1\r\n\r\n", HOST),
    ("two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HOST),
    ("two equal Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HOST),
    ("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", HOST),
    ("Host empty", get(b"/", host=b""), HOST),
    ("Host list", get(b"/", host=b"a, b"), HOST),
    ("Host with user information", get(b"/", host=b"u@a"), HOST),
    ("Host with a path", get(b"/", host=b"a/b"), HOST),
    ("Host with port 0", get(b"/", host=b"a:0"), HOST),
    ("Host with port 65536", get(b"/", host=b"a:65536"), HOST),
    ("Host with port no number", get(b"/", host=b"a:http"), HOST),
    ("Host as a short IPv4 address", get(b"/", host=b"127.1"), HOST),
    ("Host malformed in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", HOST),
    # CONNECT.
    ("CONNECT in origin form", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    ("CONNECT without port", b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    ("CONNECT with a length", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 2\r\n\r\nhi", MALFORMED),
    (
        "CONNECT chunked",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n",
        MALFORMED,
    ),
    ("CONNECT of another host", b"CONNECT a:1 HTTP/1.1\r\nHost: b:1\r\n\r\n", HOST),
    ("CONNECT of another port", b"CONNECT a:1 HTTP/1.1\r\nHost: a:2\r\n\r\n", HOST),
    # Fields that change what follows.
    ("two content types", post(b"Content-Type: application/json", b"Content-Type: text/plain"), HEADER),
    ("two credentials", post(b"Authorization: Bearer a", b"Authorization: Bearer b"), HEADER),
    ("other expectation", post(b"Expect: 200-ok"), EXPECT),
    ("two sessions", post(b"Mcp-Session-Id: a", b"mcp-session-id: b"), HEADER),
    ("two expectations", post(b"Expect: 100-continue", b"Expect: 100-continue"), EXPECT),
    ("WebSocket", post(b"Connection: keep-alive, Upgrade", b"Upgrade: websocket"), UPGRADE),
    ("upgrade to h2c or WebSocket", post(b"Connection: Upgrade", b"Upgrade: h2c, websocket"), UPGRADE),
    (
        "upgrade named by a second Connection",
        post(b"Connection: a", b"Connection: upgrade", b"Upgrade: x"),
        UPGRADE,
    ),
    # Chunks.
    ("chunk size with plus", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size with minus", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size with 0x", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size with underscore", chunked(b"0_5\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size with leading space", chunked(b" 5\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size with trailing space", chunked(b"5 \r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size empty", chunked(b"\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size no number", chunked(b"five\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size overflows", chunked(b"100000005\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size overflows 64 bits", chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size ends in bare LF", chunked(b"5\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size ends in bare CR", chunked(b"5\rhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk size then NUL", chunked(b"5\0\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("extension with control character", chunked(b"5;a\x01\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("extension without name", chunked(b"5;\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("extension without value", chunked(b"5;a=\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("extension with open quote", chunked(b'5;a="b\r\nhello\r\n0\r\n\r\n'), CHUNK),
    ("extension ends in bare LF", chunked(b"5;a\nhello\r\n0\r\n\r\n"), CHUNK),
    ("extension after a space", chunked(b"5 ;a\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("extension too long", chunked(b"5;" + b"a" * 64 + b"\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("extensions too many", chunked((b"1;" + b"a" * 50 + b"\r\nx\r\n") * 30 + b"0\r\n\r\n"), CHUNK),
    ("chunk longer than its size", chunked(b"4\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk shorter than its size", chunked(b"6\r\nhello\r\n0\r\n\r\n"), CHUNK),
    ("chunk ends in bare LF", chunked(b"5\r\nhello\n0\r\n\r\n"), CHUNK),
    ("chunks beyond the limit", chunked(b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n0\r\n\r\n"), BODY),
    ("chunk announced beyond the limit", chunked(b"ffffffff\r\n"), BODY),
    ("trailer folded", chunked(b"0\r\nX: a\r\n b\r\n\r\n"), HEADER),
    ("trailer without name", chunked(b"0\r\n: a\r\n\r\n"), HEADER),
    ("trailer with a length", chunked(b"0\r\nContent-Length: 5\r\n\r\n"), HEADER),
    ("trailer with a coding", chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), HEADER),
    ("trailer with NUL", chunked(b"0\r\nX: \0\r\n\r\n"), HEADER),
    ("trailer ends in bare LF", chunked(b"0\r\nX: a\n\r\n\r\n"), MALFORMED),
    ("trailers end in bare LF", chunked(b"0\r\n\nGET / HTTP/1.1\r\n\r\n"), MALFORMED),
    ("trailers too many", chunked(b"0\r\n" + b"X: y\r\n" * 21 + b"\r\n"), HEAD),
    ("trailers too large", chunked(b"0\r\nX: " + b"y" * 1100 + b"\r\n\r\n"), HEAD),
    # Sizes and ends.
    ("too many fields", post(*[b"X: y"] * 20), HEAD),
    ("head too large", post(b"X: " + b"y" * 1024), HEAD),
    ("request line too large", get(b"/" + b"x" * 1024), HEAD),
    ("head without end", b"GET / HTTP/1.1\r\nX: " + b"y" * 1024, HEAD),
    ("head cut off", b"GET / HTTP/1.1\r\nHost: a\r\n", TRUNCATED),
    ("body cut off", post(b"Content-Length: 5", body=b"hell"), TRUNCATED),
    ("chunk cut off", chunked(b"5\r\nhell"), TRUNCATED),
    ("chunk size cut off", chunked(b"5"), TRUNCATED),
    ("last chunk missing", chunked(b"5\r\nhello\r\n"), TRUNCATED),
    ("trailers cut off", chunked(b"0\r\nX: y\r\n"), TRUNCATED),
    ("request after one that closes", post(b"Connection: close") + get(b"/"), MALFORMED),
    ("request after one of HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n" + get(b"/"), MALFORMED),
    ("two line breaks after a body", post(b"Content-Length: 2", body=b"hi\r\n\r\n"), MALFORMED),
]

# Read in one way: what the head says of the body, the body, and how many requests came out.
READ_REQUESTS: list[tuple[str, bytes, int, bytes, int]] = [
    ("GET with a body", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 2, b"hi", 1),
    ("length 0", post(b"Content-Length: 0"), 0, b"", 1),
    ("no length", post(), 0, b"", 1),
    ("white space around a value", post(b"X:\t y \t", b"Content-Length:  2 ", body=b"hi"), 2, b"hi", 1),
    ("no space after the colon", post(b"Content-Length:2", body=b"hi"), 2, b"hi", 1),
    ("coding in capitals", post(b"Transfer-Encoding: Chunked", body=b"2\r\nhi\r\n0\r\n\r\n"), -1, b"hi", 1),
    ("extensions are dropped", chunked(b'2;a=b;c="d e"\r\nhi\r\n0;x\r\n\r\n'), -1, b"hi", 1),
    ("trailers are dropped", chunked(b"2\r\nhi\r\n0\r\nDigest: 9\r\nX: y\r\n\r\n"), -1, b"hi", 1),
    ("size with zeros and capitals", chunked(b"0000000A\r\n0123456789\r\n000\r\n\r\n"), -1, b"0123456789", 1),
    ("CRLF inside a chunk", chunked(b"2\r\n\r\n\r\n0\r\n\r\n"), -1, b"\r\n", 1),
    ("pipelined", post(b"Content-Length: 2", body=b"hi") + chunked(b"0\r\n\r\n") + get(b"/"), 2, b"hi", 3),
    ("CRLF before the request", b"\r\n" + post(b"Content-Length: 2", body=b"hi"), 2, b"hi", 1),
    ("CRLF between requests", post(b"Content-Length: 2", body=b"hi\r\n") + get(b"/"), 2, b"hi", 2),
    ("CRLF behind chunks", chunked(b"2\r\nhi\r\n0\r\n\r\n\r\n") + get(b"/"), -1, b"hi", 2),
    ("CRLF behind the request", post(b"Content-Length: 2", body=b"hi\r\n"), 2, b"hi", 1),
    (
        "CRLF behind the last request",
        post(b"Content-Length: 2", b"Connection: close", body=b"hi\r\n"),
        2,
        b"hi",
        1,
    ),
    ("CRLF that is the body", post(b"Content-Length: 2", body=b"\r\n") + get(b"/"), 2, b"\r\n", 2),
    ("bytes beyond ASCII in a value", post("X: ä".encode()), 0, b"", 1),
    ("empty value", post(b"X:"), 0, b"", 1),
    (
        "fields that may repeat",
        post(b"Accept: a", b"Accept: b", b"Connection: a", b"Connection: b"),
        0,
        b"",
        1,
    ),
    ("Upgrade that Connection does not name", post(b"Upgrade: websocket"), 0, b"", 1),
    (
        "offer of h2c",
        post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
        0,
        b"",
        1,
    ),
    ("HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", 0, b"", 1),
    ("HTTP/1.0 in absolute form without Host", b"GET http://a/ HTTP/1.0\r\n\r\n", 0, b"", 1),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0, b"", 1),
    ("raw characters of browsers in a query", get(b"/a?b={c}|d^[e]`\\"), 0, b"", 1),
    ("absolute form", get(b"http://a:80/x", host=b"A"), 0, b"", 1),
    ("absolute form with default port in Host", get(b"https://a/x", host=b"a.:443"), 0, b"", 1),
    ("absolute form with IPv6", get(b"http://[::1]:80/", host=b"[0:0::1]"), 0, b"", 1),
    ("CONNECT without a port in Host", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 0, b"", 1),
    (
        "CONNECT with length 0",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 0\r\n\r\n",
        0,
        b"",
        1,
    ),
    ("body of the limit", post(b"Content-Length: 1000", body=b"x" * 1000), 1000, b"x" * 1000, 1),
    ("as many fields as the limit", post(*[b"X: y"] * 19), 0, b"", 1),
]


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


Read = Callable[..., Any]


@pytest.mark.parametrize(("data", "reason"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED_REQUESTS])
def test_request_is_refused_with_the_same_reason_however_it_arrives(
    read_requests: Read, data: bytes, reason: Reason
) -> None:
    outcome = read_requests([data], LIMITS)
    assert outcome.refused is reason
    assert outcome.status == HttpRefused(reason, "x").status
    assert read_requests(one_by_one(data), LIMITS) == outcome


@pytest.mark.parametrize(
    ("data", "length", "body", "count"), [pytest.param(*row[1:], id=row[0]) for row in READ_REQUESTS]
)
def test_request_is_read_in_one_way_however_it_arrives(
    read_requests: Read, data: bytes, length: int, body: bytes, count: int
) -> None:
    outcome = read_requests([data], LIMITS)
    assert outcome.refused is None
    assert outcome.events[0].body_length == length
    assert outcome.events[1] == (body or "end")
    assert outcome.events.count("end") == count
    assert read_requests(one_by_one(data), LIMITS) == outcome
