"""What the writer writes, the readers read back equal, however it is cut."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol.http1.heads import CHUNKED, Headers, RequestHead, ResponseHead
from mesh.protocol.http1.write import LAST_CHUNK, chunk, encode_request_head, encode_response_head

Read = Callable[..., Any]

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
# Fields with a meaning of their own are left to the tables; these are the ones that are only carried.
names = st.text(TOKEN, min_size=1, max_size=20).map(lambda name: b"x-" + name.encode("ascii"))
values = st.binary(max_size=40).map(lambda raw: bytes(b for b in raw if b > 0x1F and b != 0x7F).strip(b" \t"))
headers = st.lists(st.tuples(names, values), max_size=20)
methods = st.sampled_from(["GET", "POST", "DELETE", "PUT", "M-SEARCH"])
targets = st.text("abc/?=&.;%~:@[]{}|", max_size=30).map(lambda path: b"/" + path.encode("ascii"))
bodies = st.binary(min_size=1, max_size=200)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """`data` in pieces, cut at these positions (those beyond it count from the start again)."""
    points = sorted({0, len(data), *(point % (len(data) + 1) for point in at)})
    return [data[a:b] for a, b in pairwise(points)]


cuts = st.lists(st.integers(0, 2000), max_size=12)


@given(methods, targets, headers, bodies, cuts)
def test_request_with_a_length_comes_back_equal(
    read_requests: Read, method: str, target: bytes, sent: Headers, body: bytes, at: list[int]
) -> None:
    fields = [(b"host", b"a"), *sent, (b"content-length", b"%d" % len(body))]
    wire = encode_request_head(method, target, fields) + body
    outcome = read_requests(cut(wire * 2, at))
    assert outcome.refused is None
    assert (
        outcome.events
        == [RequestHead(method, target, fields, len(body), True, False, False), body, "end"] * 2
    )


@given(methods, targets, headers, st.lists(bodies, max_size=5), cuts)
def test_request_in_chunks_comes_back_equal(
    read_requests: Read, method: str, target: bytes, sent: Headers, pieces: list[bytes], at: list[int]
) -> None:
    fields = [(b"host", b"a"), *sent, (b"transfer-encoding", b"chunked")]
    wire = encode_request_head(method, target, fields) + b"".join(map(chunk, pieces)) + LAST_CHUNK
    outcome = read_requests(cut(wire * 2, at))
    body = [b"".join(pieces)] if pieces else []
    head = RequestHead(method, target, fields, CHUNKED, True, False, False)
    assert outcome.refused is None
    assert outcome.events == [head, *body, "end"] * 2


@given(st.sampled_from([200, 202, 404, 500]), values, headers, bodies, cuts)
def test_response_comes_back_equal(
    read_responses: Read, status: int, phrase: bytes, sent: Headers, body: bytes, at: list[int]
) -> None:
    fields = [*sent, (b"content-length", b"%d" % len(body))]
    wire = encode_response_head(status, phrase, fields) + body
    outcome = read_responses(cut(wire * 2, at), "GET", "POST")
    assert outcome.refused is None
    assert outcome.events == [ResponseHead(status, phrase, fields, len(body), True), body, "end"] * 2
