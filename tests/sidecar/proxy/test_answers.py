"""Answers on their way to the client: their framing, their length limits, their events."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.heads import RequestHead, ResponseHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import ResponseReader
from mesh.protocol.sse import SseEvent
from mesh.reasons import Reason
from sidecar.proxy.answers import Answer, AnswerRefused, EventStreamAnswer, JsonAnswer, PassedAnswer
from tests.support.fakes import request_head, response_head

GET = request_head("GET http://x/ HTTP/1.1", host="x")
GET_10 = request_head("GET http://x/ HTTP/1.0", host="x")
HEAD = request_head("HEAD http://x/ HTTP/1.1", host="x")


def parts(answer: Answer, *body: bytes) -> tuple[bytes, bytes]:
    """What the client gets: head and framed body."""
    out = answer.begin() + b"".join([answer.body(data) for data in body]) + answer.end()
    head, blank, rest = out.partition(b"\r\n\r\n")
    return head + blank, rest


class Read:
    """Reads an answer back with the strict reader, as the client's side of the contract."""

    def __init__(self, method: str) -> None:
        self.head: ResponseHead | None = None
        self.body = b""
        self.ended = False
        self.reader = ResponseReader(self, HttpLimits(body_bytes=0))
        self.reader.expect(method)

    def on_interim(self, head: ResponseHead) -> None: ...
    def on_response(self, head: ResponseHead) -> None:
        self.head = head

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_response_end(self) -> None:
        self.ended = True


@pytest.mark.parametrize("http10", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    ("start", "fields", "body"),
    [
        ("200 OK", {"content_length": "5"}, [b"he", b"llo"]),
        ("200 OK", {"content_length": "0"}, []),
        ("200 OK", {"transfer_encoding": "chunked"}, [b"he", b"llo"]),
        ("200 OK", {"transfer_encoding": "chunked"}, []),
        ("200 OK", {}, [b"hello"]),
        ("HTTP/1.0 200 OK", {}, [b"hello"]),
        ("204 No Content", {}, []),
        ("304 Not Modified", {"content_length": "5"}, []),
        ("304 Not Modified", {}, []),
        ("404 Not Found", {"content_length": "5"}, [b"hello"]),
    ],
)
def test_a_passed_answer_reads_back_as_what_the_backend_sent(
    start: str, fields: dict[str, str], body: list[bytes], method: str, http10: bool
) -> None:
    request = request_head(f"{method} http://x/ HTTP/1.{0 if http10 else 1}", host="x")
    head = response_head(start, method=method, **fields)
    sent = [] if method == "HEAD" else body
    answer = PassedAnswer(head, request, closing=False)
    back = Read(method)
    back.reader.feed(b"".join(parts(answer, *sent)))
    if not back.ended:
        assert answer.closes
        back.reader.eof()
    assert back.head is not None
    assert (back.head.status, back.body, back.ended) == (head.status, b"".join(sent), True)
    assert (back.head.body_length == -1) <= (not http10)


@pytest.mark.parametrize(
    ("head", "request_head_", "framing", "closes"),
    [
        (response_head(content_length="5"), GET, b"content-length: 5\r\n", False),
        (response_head(content_length="5"), GET_10, b"content-length: 5\r\n", False),
        (response_head(transfer_encoding="chunked"), GET, b"transfer-encoding: chunked\r\n", False),
        (response_head(transfer_encoding="chunked"), GET_10, b"connection: close\r\n", True),
        (response_head(), GET, b"transfer-encoding: chunked\r\n", False),
        (response_head(), GET_10, b"connection: close\r\n", True),
        (response_head("204 No Content"), GET, b"", False),
        (
            response_head("304 Not Modified", content_length="9"),
            GET,
            b"content-length: 9\r\n",
            False,
        ),
        (response_head("304 Not Modified"), GET, b"", False),
        (response_head(method="HEAD", content_length="9"), HEAD, b"content-length: 9\r\n", False),
        (response_head(method="HEAD"), HEAD, b"", False),
        (response_head(method="HEAD", transfer_encoding="chunked"), HEAD, b"", False),
    ],
)
def test_the_framing_is_ours(
    head: ResponseHead, request_head_: RequestHead, framing: bytes, closes: bool
) -> None:
    answer = PassedAnswer(head, request_head_, closing=False)
    sent, _ = parts(answer)
    lines = sent.split(b"\r\n", 1)[1]
    assert lines == framing + b"\r\n"
    assert answer.closes is closes


def test_hop_by_hop_fields_stay_behind_and_the_others_keep_their_order() -> None:
    head = response_head(
        content_length="0",
        x_a="1",
        connection="x-hop, keep-alive",
        keep_alive="timeout=5",
        x_hop="secret",
        proxy_authenticate="Basic",
        set_cookie="a=b",
        mcp_session_id="s",
    )
    sent, _ = parts(PassedAnswer(head, GET, closing=False))
    assert sent == (
        b"HTTP/1.1 200 OK\r\nx-a: 1\r\nset-cookie: a=b\r\nmcp-session-id: s\r\ncontent-length: 0\r\n\r\n"
    )


def test_repeated_fields_are_kept_apart() -> None:
    head = ResponseHead(200, b"OK", [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")], 0, True)
    sent, _ = parts(PassedAnswer(head, GET, closing=False))
    assert b"set-cookie: a=1\r\nset-cookie: b=2\r\n" in sent


@pytest.mark.parametrize("closing", [True, False])
def test_a_connection_that_ends_says_so(closing: bool) -> None:
    head = response_head(content_length="2", content_type="application/json")
    for answer in (
        PassedAnswer(head, GET, closing=closing),
        JsonAnswer(head, lambda body, status: body, limit=10, closing=closing),
        EventStreamAnswer(head, GET, lambda event: event.data, event_bytes=100, closing=closing),
    ):
        sent, _ = parts(answer, b"{}")
        assert (b"connection: close\r\n" in sent) is closing
        assert answer.closes is closing


def test_a_json_answer_is_sent_with_the_length_of_what_is_left() -> None:
    head = response_head("201 Created", content_length="7", content_type="application/json", etag="x")
    seen: list[tuple[bytes, int]] = []

    def transform(body: bytes, status: int) -> bytes:
        seen.append((body, status))
        return b"{}"

    answer = JsonAnswer(head, transform, limit=100, closing=False)
    assert (answer.begin(), answer.body(b'{"a":'), answer.body(b"1}"), answer.begun) == (b"", b"", b"", False)
    sent = answer.end()
    assert answer.begun
    assert seen == [(b'{"a":1}', 201)]
    assert sent.startswith(b"HTTP/1.1 201 Created\r\n")
    assert sent.endswith(b"content-length: 2\r\n\r\n{}")
    assert b"content-length: 7" not in sent


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 10, b"x"]])
def test_a_json_answer_over_the_limit_is_refused_before_it_is_kept(pieces: list[bytes]) -> None:
    answer = JsonAnswer(response_head(), lambda body, status: body, limit=10, closing=False)
    with pytest.raises(AnswerRefused) as refused:
        parts(answer, *pieces)
    assert refused.value.reason is Reason.HTTP_BODY_TOO_LARGE
    assert "10 bytes" in refused.value.detail
    assert not answer.begun


def test_a_json_answer_of_exactly_the_limit_passes() -> None:
    answer = JsonAnswer(response_head(), lambda body, status: body, limit=10, closing=False)
    assert parts(answer, b"x" * 10)[1] == b"x" * 10


def test_what_the_filter_refuses_is_refused_with_nothing_sent() -> None:
    def transform(body: bytes, status: int) -> bytes:
        raise AnswerRefused(Reason.JSON_MALFORMED, "no JSON")

    answer = JsonAnswer(response_head(), transform, limit=10, closing=False)
    with pytest.raises(AnswerRefused, match="json_malformed: no JSON"):
        parts(answer, b"x")
    assert not answer.begun


def events_of(request: RequestHead, transform: object = None) -> EventStreamAnswer:
    head = response_head(content_type="text/event-stream", transfer_encoding="chunked")
    return EventStreamAnswer(
        head,
        request,
        transform or (lambda event: event.data),  # type: ignore[arg-type]
        event_bytes=100,
        closing=False,
    )


def test_events_leave_when_they_are_complete_and_not_before() -> None:
    answer = events_of(GET)
    answer.begin()
    assert answer.body(b"data: a\n") == b""
    assert answer.body(b"\ndata") == b"9\r\ndata: a\n\n\r\n"
    assert answer.body(b": b\n\ndata: c\n\n") == b"12\r\ndata: b\n\ndata: c\n\n\r\n"


def test_an_unfinished_last_event_is_dropped() -> None:
    answer = events_of(GET)
    answer.begin()
    assert answer.body(b"data: half") + answer.end() == b"0\r\n\r\n"


def test_http_1_0_gets_events_without_chunks_until_the_connection_closes() -> None:
    answer = events_of(GET_10)
    head, body = parts(answer, b"data: a\n\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close\r\n" in head
    assert body == b"data: a\n\n"
    assert answer.closes


def test_events_without_data_are_not_put_to_the_filter() -> None:
    def fail(event: SseEvent) -> str | None:
        raise AssertionError(event)

    assert parts(events_of(GET_10, fail), b": ping\n\nid: 7\n\ndata:\n\nretry: 9\n\n")[1] == (
        b": ping\n\nid: 7\n\ndata:\n\nretry: 9\n\n"
    )


def test_an_event_that_is_held_back_keeps_its_id_and_loses_its_data() -> None:
    _, body = parts(events_of(GET_10, lambda event: None), b"id: 7\ndata: secret\n\n")
    assert body == b"id: 7\n\n"


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"data: " + b"x" * 200 + b"\n\n", Reason.SSE_EVENT_TOO_LARGE),
        (b"data: \xff\n\n", Reason.SSE_MALFORMED),
    ],
)
def test_a_stream_that_cannot_be_read_is_refused(stream: bytes, reason: Reason) -> None:
    answer = events_of(GET)
    answer.begin()
    with pytest.raises(AnswerRefused) as refused:
        answer.body(stream)
    assert refused.value.reason is reason
    assert answer.begun


@pytest.mark.parametrize("answer", [PassedAnswer(response_head(content_length="1"), GET, closing=False)])
def test_an_answer_has_begun_once_its_head_is_out(answer: PassedAnswer) -> None:
    assert not answer.begun
    answer.begin()
    assert (answer.begun, answer.endless) == (True, False)
