"""One whole answer, for calls that are made a few times an hour and are over with it."""

from __future__ import annotations

from mesh.protocol.http1.heads import UNTIL_CLOSE, Headers, ResponseHead


class AnswerTruncatable(Exception):
    """The answer has no declared length, so nobody could tell whether it is whole; the server is at fault."""


class WholeAnswer:
    """A ResponseSink that collects one answer; `complete` once its end is here. The reader bounds its size."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.complete = False
        self._parts: list[bytes] = []

    @property
    def body(self) -> bytes:
        """What has come of the body."""
        return b"".join(self._parts)

    def on_interim(self, head: ResponseHead) -> None:
        """100 Continue and its like say nothing of the answer."""

    def on_response(self, head: ResponseHead) -> None:
        """Raises AnswerTruncatable."""
        if head.body_length == UNTIL_CLOSE:
            raise AnswerTruncatable("the answer has neither Content-Length nor chunks")
        self.status, self.headers = head.status, head.headers

    def on_body(self, data: bytes) -> None:
        """Keep a piece."""
        self._parts.append(data)

    def on_response_end(self) -> None:
        """Nothing more will come."""
        self.complete = True
