"""The HTTP readers under mutated and arbitrary bytes.

Only HttpRefused escapes, the outcome does not depend on how the bytes are cut, and what our reader accepts
llhttp (the parser of Node.js, through httptools) reads in the same way: a message on which two parsers differ is
one that can be smuggled.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import UNTIL_CLOSE, RequestHead, ResponseHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import RequestReader, ResponseReader
from mesh.protocol.http1.target import absolute_form, authority_form, host_header, plain_path
from tests.support.fuzzing import examples

LIMITS = HttpLimits(head_bytes=512, headers=12, body_bytes=64, chunk_line_bytes=24, interim=2)

REQUESTS = [
    b"POST /mcp HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nhello",
    b"GET http://a/b?c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    b"GET / HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nUpgrade: x\r\n\r\n",
    b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\n",
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nuntil close",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
]
# What attacks are made of; put where hypothesis likes.
FRAGMENTS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"0",
        b"+",
        b"-",
        b"_",
        b"\x0b",
        b"\x80",
        b"%",
    ),
    *(b"\r\n ", b"\r\n\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length : 5\r\n"),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Host: b\r\n",
        b"Upgrade: h2c\r\n",
    ),
    *(
        b"Connection: upgrade\r\n",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"5;a\r\n",
        b"GET ",
    ),
    *(b"chunked", b"identity", b"close", b"x" * 70),
]


class Notes:
    """A sink for both directions; adjacent pieces of a body are one."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.refused: str | None = None

    def on_request(self, head: RequestHead) -> None:
        self.events.append(replace(head))

    def on_response(self, head: ResponseHead) -> None:
        self.events.append(replace(head))

    on_interim = on_response

    def on_body(self, data: bytes) -> None:
        assert data
        if isinstance(self.events[-1], bytes):
            self.events[-1] += data
        else:
            self.events.append(data)

    def on_request_end(self) -> None:
        self.events.append("end")

    on_response_end = on_request_end


def read(reader: RequestReader | ResponseReader, notes: Notes, pieces: list[bytes]) -> Notes:
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.eof()
    except HttpRefused as refused:
        notes.refused = refused.reason
    return notes


def read_request(pieces: list[bytes]) -> Notes:
    notes = Notes()
    return read(RequestReader(notes, LIMITS), notes, pieces)


def read_response(pieces: list[bytes], method: str) -> Notes:
    notes = Notes()
    reader = ResponseReader(notes, LIMITS)
    reader.expect(method)
    return read(reader, notes, pieces)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    points = sorted({0, len(data), *(point % (len(data) + 1) for point in at)})
    return [data[a:b] for a, b in pairwise(points)]


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A message of the corpus with up to four places overwritten, cut out or added to."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from([0, 0, 0, 1, 2, 20]))
        data = (
            data[:start] + draw(st.sampled_from(FRAGMENTS) | st.binary(max_size=3)) + data[start + length :]
        )
    return data


cuts = st.lists(st.integers(0, 600), max_size=8)
FUZZ = settings(max_examples=examples(300), deadline=None)


@FUZZ
@given(mutated(REQUESTS) | st.binary(max_size=80), cuts)
def test_requests_are_read_alike_however_they_are_cut(data: bytes, at: list[int]) -> None:
    whole, pieces = read_request([data]), read_request(cut(data, at))
    assert (pieces.events, pieces.refused) == (whole.events, whole.refused)


@FUZZ
@given(mutated(RESPONSES) | st.binary(max_size=80), st.sampled_from(["GET", "HEAD", "CONNECT"]), cuts)
def test_responses_are_read_alike_however_they_are_cut(data: bytes, method: str, at: list[int]) -> None:
    whole, pieces = read_response([data], method), read_response(cut(data, at), method)
    assert (pieces.events, pieces.refused) == (whole.events, whole.refused)


class Oracle:
    """What llhttp makes of the same bytes."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.url = b""
        self.body = b""
        self.complete = 0

    def on_message_begin(self) -> None:
        self.fields, self.url, self.body = [], b"", b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.rstrip(b" \t")))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete += 1


def first_of(events: list[Any]) -> tuple[Any, bytes]:
    return events[0], events[1] if isinstance(events[1], bytes) else b""


@FUZZ
@given(mutated(REQUESTS[:7]))
@example(REQUESTS[0])
@example(REQUESTS[2])
@example(REQUESTS[6])
def test_request_that_is_read_means_the_same_to_llhttp(data: bytes) -> None:
    notes = read_request([data])
    if notes.refused is not None or notes.events.count("end") != 1:
        return
    head, body = first_of(notes.events)
    # llhttp knows a list of methods and raises at every Upgrade; neither is about what the bytes mean.
    if head.method not in {"GET", "POST", "OPTIONS"} or b"upgrade" in data.lower():
        return
    oracle = Oracle()
    parser = httptools.HttpRequestParser(oracle)
    parser.feed_data(data)
    assert oracle.complete == 1
    assert parser.get_method().decode("ascii") == head.method
    assert (oracle.url, oracle.body) == (head.target, body)
    # httptools gives trailers to on_header too; we drop them.
    assert oracle.fields[: len(head.headers)] == head.headers


@FUZZ
@given(mutated(RESPONSES[:2]))
@example(RESPONSES[0])
@example(RESPONSES[1])
def test_response_that_is_read_means_the_same_to_llhttp(data: bytes) -> None:
    notes = read_response([data], "GET")
    if notes.refused is not None or notes.events.count("end") != 1:
        return
    head, body = first_of(notes.events)
    if head.status < 200 or head.body_length == UNTIL_CLOSE:
        return
    oracle = Oracle()
    parser = httptools.HttpResponseParser(oracle)
    parser.feed_data(data)
    assert oracle.complete == 1
    assert (parser.get_status_code(), oracle.body) == (head.status, body)
    assert oracle.fields[: len(head.headers)] == head.headers


@FUZZ
@pytest.mark.parametrize("parse", [absolute_form, authority_form, host_header, plain_path])
@given(
    st.binary(max_size=40)
    | st.text("/.%25eEfFcC\\;?#ab", max_size=20).map(lambda text: b"/" + text.encode("ascii"))
    | st.text("http:/.0x127[]@aA%-_", max_size=24).map(lambda text: text.encode("ascii"))
    | st.text("0x127.:fa[]", max_size=16).map(lambda text: b"http://" + text.encode("ascii"))
)
def test_targets_are_parsed_or_refused(parse: Any, data: bytes) -> None:
    with suppress(HttpRefused):
        parse(data)


@FUZZ
@given(st.text("/.%25eEfFcCaA19;~", max_size=16).map(lambda text: b"/" + text.encode("ascii")))
def test_plain_path_has_nothing_left_to_decode_into_another_path(data: bytes) -> None:
    try:
        path = plain_path(data)
    except HttpRefused:
        return
    assert "//" not in path
    assert not {".", ".."} & set(path.split("/"))
    assert plain_path(path.encode("ascii")) == path
