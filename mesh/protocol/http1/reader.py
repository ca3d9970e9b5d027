"""Bytes in, messages out: the readers of HTTP/1.1 requests and responses.

A reader is fed what arrives, in any pieces, and calls its sink for each head, piece of body and end; it holds
no I/O and no clock. It does its own framing on slices of the input: a head is found, split and looked up line
by line in the memo of `fields`, all in C, so that it knows to the byte where a message ends.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from mesh.protocol.http1.errors import BAD_GATEWAY, HttpRefused
from mesh.protocol.http1.framing import (
    declared_length,
    expects_continue,
    response_length,
    stays_open,
    without_upgrade,
)
from mesh.protocol.http1.heads import UNTIL_CLOSE, Headers, RequestHead, ResponseHead
from mesh.protocol.http1.known_heads import KNOWN_REQUESTS, KNOWN_RESPONSES, KnownHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.message import CHUNKS, CLOSE, HEAD, LENGTH, OVER, TUNNEL, MessageReader
from mesh.protocol.http1.section import CRLF, REQUEST_OPENING, RESPONSE_OPENING, Section
from mesh.protocol.http1.startline import check_target, request_line, status_line
from mesh.reasons import Reason


class RequestSink(Protocol):
    """Receives what RequestReader reads: of each request its head, pieces of its body, its end."""

    def on_request(self, head: RequestHead) -> None: ...
    def on_body(self, data: bytes) -> None: ...
    def on_request_end(self) -> None: ...


class ResponseSink(Protocol):
    """Receives what ResponseReader reads: of each response any interim heads, then as for a request."""

    def on_interim(self, head: ResponseHead) -> None: ...
    def on_response(self, head: ResponseHead) -> None: ...
    def on_body(self, data: bytes) -> None: ...
    def on_response_end(self) -> None: ...


class RequestReader(MessageReader):
    """Reads what a client sends. Behind a CONNECT it reads nothing: `unread` gives the tunnel's bytes.

    One CRLF before a request is skipped, because old clients send it behind the body of a POST (RFC 9112, section
    2.2). Nothing else is: not a second one, and no bare LF, which could be the end of a body to somebody else.
    """

    __slots__ = ("_host", "_http10", "_keep_alive", "_line", "_method", "_sink", "_target")
    _skips_empty_line = True

    def __init__(self, sink: RequestSink, limits: HttpLimits) -> None:
        super().__init__(sink, limits, Section(REQUEST_OPENING, limits.head_bytes), KNOWN_REQUESTS)
        self._sink = sink
        self._keep_alive = True
        # The last request line, what it says, and the Host that agreed with it: clients repeat them.
        self._line: bytes | None = None
        self._host: bytes | None = None
        self._method, self._target, self._http10 = "", b"", False

    @property
    def between_messages(self) -> bool:
        """Whether the next byte would begin a request, and nothing is held back."""
        return self._phase == HEAD and self._nothing_begun and not self._rest and self._refused is None

    @property
    def _nothing_begun(self) -> bool:
        kept = self._section.kept
        return not kept or kept == CRLF

    def eof(self) -> None:
        """The client will send no more. Raises HttpRefused(HTTP_TRUNCATED) inside a request."""
        if self._refused is None and (not self._nothing_begun or self._phase in (LENGTH, CHUNKS)):
            self._refused = HttpRefused(Reason.HTTP_TRUNCATED, "the connection closed inside a request")
            raise self._refused

    def _start(self, line: bytes) -> None:
        if line != self._line:
            self._method, self._target, self._http10 = request_line(line)
            self._host = None
            self._line = line

    def _fields(
        self,
        headers: Headers,
        known: dict[bytes, bytes],
        key: tuple[bytes, bytes],
        data: bytes,
        position: int,
    ) -> int:
        host = known.get(b"host")
        if host is None or host != self._host:
            check_target(self._method, self._target, host, self._http10)
            self._host = host
        method, target, http10 = self._method, self._target, self._http10
        if b"upgrade" in known:
            headers = without_upgrade(headers, known)
            known = dict(headers)
        length = declared_length(known, http10) or 0
        expects = b"expect" in known and expects_continue(known[b"expect"], http10)
        keep_alive = stays_open(known, http10)
        memo: dict[Any, Any] = {}
        if method == "CONNECT":
            keep_alive = False
            if length:
                raise HttpRefused(Reason.HTTP_MALFORMED, "a CONNECT request has a body")
        elif length >= 0 and not expects and b"?" not in target:
            start = (method, target, http10)
            self._known.keep(*key, start, headers, known, keep_alive=keep_alive, memo=memo)
        self._keep_alive = keep_alive
        self._sink.on_request(
            RequestHead(method, target, headers, length, keep_alive, expects, http10, known, memo)
        )
        return self._body(length, data, position)

    def _again(self, known: KnownHead, digits: bytes, data: bytes, position: int) -> int:
        method, target, http10 = known.start
        self._method, self._keep_alive = method, known.keep_alive
        self._line = None
        headers, fields = known.with_length(digits)
        length = int(digits) if digits else 0
        self._sink.on_request(
            RequestHead(method, target, headers, length, known.keep_alive, False, http10, fields, known.memo)
        )
        return self._body(length, data, position)

    def _end(self, more: bool) -> None:
        if not self._keep_alive:
            self._phase = TUNNEL if self._method == "CONNECT" else OVER
        self._sink.on_request_end()

    def _behind_the_last(self, data: bytes, position: int) -> int:
        kept = self._section.kept
        kept += data[position : position + len(CRLF) + 1]
        if not CRLF.startswith(kept):
            raise self._surplus()
        return len(data)

    def _surplus(self) -> HttpRefused:
        return HttpRefused(Reason.HTTP_MALFORMED, "data follows a request that was to be the last")


class ResponseReader(MessageReader):
    """Reads what a server sends, in answer to the requests announced with `expect`.

    Bytes that answer no request are refused with UPSTREAM_MALFORMED: a server that sends more than it
    declared would have them taken for the answer to somebody else's next request. Every status is 502.
    """

    __slots__ = ("_answer", "_expected", "_http10", "_interim", "_line", "_phrase", "_sink", "_status")
    _answer: ResponseHead  # the last one handed over

    def __init__(self, sink: ResponseSink, limits: HttpLimits) -> None:
        super().__init__(sink, limits, Section(RESPONSE_OPENING, limits.head_bytes), KNOWN_RESPONSES)
        self._sink = sink
        self._expected: deque[str] = deque()
        self._interim = 0
        self._line: bytes | None = None
        self._status, self._phrase, self._http10 = 0, b"", False

    @property
    def between_messages(self) -> bool:
        """Whether every request announced was answered in full, so that the connection can take another."""
        return not self._expected and self._phase == HEAD and self._refused is None

    @property
    def answer_begun(self) -> bool:
        """Whether a byte of the answer awaited has arrived; before that a lost connection may be retried."""
        return bool(self._section.kept) or self._phase != HEAD or self._interim > 0

    def expect(self, method: str) -> None:
        """A request with this method was sent. Raises HttpRefused if the connection is beyond use."""
        if self._refused is None and self._phase == OVER:
            self._refused = self._surplus()
        if self._refused is not None:
            raise self._refused
        self._expected.append(method)

    def eof(self) -> None:
        """The server will send no more: the end of an UNTIL_CLOSE body.

        Raises HttpRefused(HTTP_TRUNCATED) inside any other response and before one that is due.
        """
        if self._refused is not None:
            return
        if self._phase == CLOSE:
            self._end(False)
        elif self._expected and self._phase != TUNNEL:
            self._refused = HttpRefused(
                Reason.HTTP_TRUNCATED, "the connection closed before the response was complete", BAD_GATEWAY
            )
            raise self._refused

    def _start(self, line: bytes) -> None:
        if line != self._line:
            self._status, self._phrase, self._http10 = status_line(line)
            self._line = line

    def _head(self, data: bytes, position: int) -> int:
        if not self._expected:
            raise self._surplus()
        return super()._head(data, position)

    def _fields(
        self,
        headers: Headers,
        known: dict[bytes, bytes],
        key: tuple[bytes, bytes],
        data: bytes,
        position: int,
    ) -> int:
        status, method = self._status, self._expected[0]
        length = response_length(known, status, method, self._http10)
        if status < 200:
            self._interim_head(status, headers)
            return position
        open_after = stays_open(known, self._http10)
        memo: dict[Any, Any] = {}
        start = (status, self._phrase, self._http10)
        self._known.keep(*key, start, headers, known, keep_alive=open_after, memo=memo)
        head = ResponseHead(
            status, self._phrase, headers, length, open_after and length != UNTIL_CLOSE, known, memo
        )
        return self._response(head, method, data, position)

    def _again(self, known: KnownHead, digits: bytes, data: bytes, position: int) -> int:
        status, phrase, http10 = known.start
        method = self._expected[0]
        headers, fields = known.with_length(digits)
        # Framing is decided anew: it depends on the request that is answered.
        length = response_length(fields, status, method, http10)
        keep_alive = known.keep_alive and length != UNTIL_CLOSE
        head = ResponseHead(status, phrase, headers, length, keep_alive, fields, known.memo)
        return self._response(head, method, data, position)

    def _response(self, head: ResponseHead, method: str, data: bytes, position: int) -> int:
        """Hand over a final response and begin its body."""
        self._answer = head
        self._sink.on_response(head)
        if method == "CONNECT" and head.status < 300:
            self._phase = TUNNEL
            self._sink.on_response_end()
            return position
        return self._body(head.body_length, data, position)

    def _interim_head(self, status: int, headers: Headers) -> None:
        if status == 101:
            raise HttpRefused(Reason.HTTP_UPGRADE, "the server switches to another protocol")
        self._interim += 1
        if self._interim > self._limits.interim:
            raise HttpRefused(Reason.HTTP_MALFORMED, "there are too many interim responses")
        self._sink.on_interim(ResponseHead(status, self._phrase, headers, 0, True))

    def _end(self, more: bool) -> None:
        """Close the books on a response before the sink is told, who may at once reuse the connection."""
        head = self._answer
        self._interim = 0
        self._expected.popleft()
        if not head.keep_alive:
            self._phase = OVER
        if more and (not self._expected or self._phase == OVER):
            self._refuse(self._surplus())
            head.keep_alive = False
        self._sink.on_response_end()
        if self._refused is not None:
            raise self._refused

    def _surplus(self) -> HttpRefused:
        return HttpRefused(Reason.UPSTREAM_MALFORMED, "data arrived that answers no request", BAD_GATEWAY)

    def _refuse(self, refused: HttpRefused) -> None:
        refused.status = BAD_GATEWAY
        self._refused = refused
