"""The readers, message by message: framing, pipelining, pausing and the end of a connection."""

from __future__ import annotations

from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import RequestReader


class Seen:
    def __init__(self) -> None:
        self.events: list[object] = []

    def on_request(self, head: RequestHead) -> None:
        self.events.append(head)

    def on_body(self, data: bytes) -> None:
        self.events.append(data)

    def on_request_end(self) -> None:
        self.events.append("end")


def test_pipelined_requests_are_read_one_after_the_other() -> None:
    seen = Seen()
    RequestReader(seen, HttpLimits()).feed(
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert [type(event) for event in seen.events] == [RequestHead, bytes, str, RequestHead, str]
