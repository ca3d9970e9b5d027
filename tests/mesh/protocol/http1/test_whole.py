"""One whole answer is collected, and one whose end nobody could tell is refused."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import ResponseReader
from mesh.protocol.http1.whole import AnswerTruncatable, WholeAnswer


def read(data: bytes) -> WholeAnswer:
    answer = WholeAnswer()
    reader = ResponseReader(answer, HttpLimits(body_bytes=100))
    reader.expect("GET")
    reader.feed(data)
    return answer


@pytest.mark.parametrize(
    "framed",
    [b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"],
)
def test_an_answer_is_collected_after_what_comes_before_it(framed: bytes) -> None:
    answer = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + framed)
    assert (answer.status, answer.body, answer.complete) == (200, b"{}", True)


def test_an_answer_is_not_complete_before_its_end() -> None:
    answer = read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
    assert (answer.body, answer.complete) == (b"{", False)


def test_an_answer_that_may_have_been_cut_is_refused() -> None:
    with pytest.raises(AnswerTruncatable):
        read(b"HTTP/1.1 200 OK\r\n\r\n{")
