"""How an answer is passed on: as it streams, as one JSON document, or event by event.

Each class turns the backend's bytes into the client's. What cannot be read safely raises AnswerRefused, and the
exchange decides what the client sees: an error if nothing has been sent yet, else a cut connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mesh.protocol.http1.heads import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead
from mesh.protocol.http1.lines import LeavingLines
from mesh.protocol.http1.write import LAST_CHUNK, chunk
from mesh.protocol.sse import SseEvent, SseReader, SseRefused, encode_event
from mesh.reasons import Reason


class AnswerRefused(Exception):
    """The backend's answer cannot be passed on: the backend's fault, or an attack through it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Answer(Protocol):
    """Backend's bytes in, client's bytes out. Each method may raise AnswerRefused."""

    @property
    def endless(self) -> bool:
        """An event stream: no idle limit, and ended politely on drain."""
        ...

    @property
    def closes(self) -> bool:
        """The client's connection ends with this answer."""
        ...

    @property
    def begun(self) -> bool:
        """The client has been sent something, so an error can no longer be answered."""
        ...

    def begin(self) -> bytes: ...
    def body(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...


_LINES = LeavingLines(frozenset({b"content-length"}))

CHUNKED_LINE = b"transfer-encoding: chunked\r\n"
CLOSE_LINE = b"connection: close\r\n"


def _encode_head(head: ResponseHead, framing: bytes, *, closes: bool) -> bytes:
    """Status line and the fields that travel on, with our own framing."""
    start = head.memo.get(_encode_head)
    if start is None:
        lines = _LINES.encode(head.headers, head.fields.get(b"connection"))
        start = head.memo[_encode_head] = b"HTTP/1.1 %d %b\r\n%b" % (head.status, head.reason, lines)
    return b"%b%b%b\r\n" % (start, framing, CLOSE_LINE if closes else b"")


class PassedAnswer:
    """Head and body as they come; only the framing is ours."""

    __slots__ = ("_chunks", "_head", "begun", "closes", "endless")

    def __init__(self, head: ResponseHead, request: RequestHead, *, closing: bool) -> None:
        length = head.body_length
        unknown = length in (CHUNKED, UNTIL_CLOSE)
        self._chunks = unknown and not request.http10
        self.closes = closing or (unknown and request.http10)
        self.endless = False
        self.begun = False
        framing = CHUNKED_LINE if self._chunks else b"" if unknown else _length_line(head, request, length)
        self._head = _encode_head(head, framing, closes=self.closes)

    def begin(self) -> bytes:
        self.begun = True
        return self._head

    def body(self, data: bytes) -> bytes:
        return chunk(data) if self._chunks else data

    def end(self) -> bytes:
        return LAST_CHUNK if self._chunks else b""


def _length_line(head: ResponseHead, request: RequestHead, length: int) -> bytes:
    """Content-Length where the status allows one; what HEAD and 304 announce is kept (RFC 9110, 8.6)."""
    if head.status == 204:
        return b""
    if request.method == "HEAD" or head.status == 304:
        announced = head.fields.get(b"content-length")
        return b"" if announced is None else b"content-length: %b\r\n" % announced
    return b"content-length: %d\r\n" % length


class JsonAnswer:
    """One JSON document: kept whole, filtered, sent with its new length."""

    __slots__ = ("_filter", "_head", "_limit", "_parts", "_reason", "_size", "begun", "closes", "endless")

    def __init__(
        self,
        head: ResponseHead,
        transform: Callable[[bytes, int], bytes],
        *,
        limit: int,
        closing: bool,
        reason: Reason = Reason.HTTP_BODY_TOO_LARGE,
    ) -> None:
        """`reason` is told where there are more bytes than the limit."""
        self._head = head
        self._filter = transform
        self._limit = limit
        self._reason = reason
        self._parts: list[bytes] = []
        self._size = 0
        self.closes = closing
        self.endless = False
        self.begun = False

    def begin(self) -> bytes:
        return b""

    def body(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > self._limit:
            raise AnswerRefused(self._reason, f"an answer of more than {self._limit} bytes")
        self._parts.append(data)
        return b""

    def end(self) -> bytes:
        return self.written(self.whole())

    def whole(self) -> bytes:
        """The document, filtered."""
        parts = self._parts
        return self._filter(parts[0] if len(parts) == 1 else b"".join(parts), self._head.status)

    def written(self, body: bytes) -> bytes:
        """The whole answer with this body."""
        self.begun = True
        return _encode_head(self._head, b"content-length: %d\r\n" % len(body), closes=self.closes) + body


class EventStreamAnswer:
    """Server-sent events: one event in, one event out, at once."""

    __slots__ = ("_chunks", "_head", "_reader", "_transform", "begun", "closes", "endless")

    def __init__(
        self,
        head: ResponseHead,
        request: RequestHead,
        transform: Callable[[SseEvent], str | None],
        *,
        event_bytes: int,
        closing: bool,
    ) -> None:
        self._transform = transform
        self._reader = SseReader(event_bytes)
        self._chunks = not request.http10
        self.closes = closing or request.http10
        self.endless = True
        self.begun = False
        self._head = _encode_head(head, CHUNKED_LINE if self._chunks else b"", closes=self.closes)

    def begin(self) -> bytes:
        self.begun = True
        return self._head

    def body(self, data: bytes) -> bytes:
        events = self.events(data)
        if not events:
            return b""
        out = b"".join([self._encode(event) for event in events])
        return chunk(out) if self._chunks else out

    def events(self, data: bytes) -> list[SseEvent]:
        """Those that are whole now."""
        try:
            return self._reader.feed(data)
        except SseRefused as refused:
            raise AnswerRefused(refused.reason, refused.detail) from refused

    def _encode(self, event: SseEvent) -> bytes:
        return encode_event(event, data=self._transform(event) if event.data else event.data)

    def end(self) -> bytes:
        return LAST_CHUNK if self._chunks else b""


class WrappedAnswer:
    """Another Answer, as it is: for those that look at what passes, or change it."""

    __slots__ = ("inner",)

    def __init__(self, inner: Answer) -> None:
        self.inner = inner

    @property
    def endless(self) -> bool:
        return self.inner.endless

    @property
    def closes(self) -> bool:
        return self.inner.closes

    @property
    def begun(self) -> bool:
        return self.inner.begun

    def begin(self) -> bytes:
        return self.inner.begin()

    def body(self, data: bytes) -> bytes:
        return self.inner.body(data)

    def end(self) -> bytes:
        return self.inner.end()


class MeasuredAnswer(WrappedAnswer):
    """Another Answer that may be no longer than this: what has no end in sight is cut off there."""

    __slots__ = ("_left",)

    def __init__(self, inner: Answer, most: int) -> None:
        super().__init__(inner)
        self._left = most

    def body(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise AnswerRefused(Reason.RESULT_TOO_LARGE, "more bytes than the policy allows")
        return self.inner.body(data)
