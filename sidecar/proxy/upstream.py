"""One connection to a backend: bytes in, the events of one answer out.

An upstream serves one exchange at a time and is pooled between exchanges. Everything is callbacks: an answer
that arrives in one read is parsed, filtered and written to the client without a task or a future in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import ResponseHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import ResponseReader
from mesh.reasons import Reason
from sidecar.proxy.ticker import NEVER

LINGER_SECONDS = 10.0
"""From the last use of a connection to its end, for what a backend has not taken yet."""


class AnswerSink(Protocol):
    """What an upstream tells the exchange that it serves."""

    def answer_interim(self, head: ResponseHead) -> None: ...
    def answer_head(self, head: ResponseHead) -> None: ...
    def answer_body(self, data: bytes) -> None: ...
    def answer_end(self) -> None: ...
    def flush(self) -> None: ...
    def upstream_failed(self, reason: Reason, detail: str) -> None: ...
    def upstream_expired(self) -> None: ...
    def upstream_writable(self, writable: bool) -> None: ...


class Owner(Protocol):
    """Who keeps upstreams between exchanges: the pool."""

    def released(self, upstream: Upstream, reusable: bool) -> None: ...
    def lost(self, upstream: Upstream) -> None: ...


class Upstream(asyncio.Protocol):
    """A connection to one backend. Its reader, transport and exchange live here and nowhere else."""

    __slots__ = (
        "_answered",
        "_idle_limit",
        "_idle_seconds",
        "_keep",
        "_owner",
        "_paused",
        "_reader",
        "_sink",
        "_started",
        "clock",
        "deadline",
        "expires",
        "generation",
        "reused",
        "transport",
    )

    def __init__(
        self, limits: HttpLimits, owner: Owner, clock: Callable[[], float], idle_seconds: float
    ) -> None:
        self._reader = ResponseReader(self, limits)
        self._owner = owner
        self._keep = False
        self._paused = False
        self._sink: AnswerSink | None = None
        self._started = False
        self._answered = False
        self._idle_limit = idle_seconds
        self._idle_seconds = idle_seconds
        self.clock = clock
        self.deadline = NEVER
        self.expires = NEVER
        """Loop time at which the certificates of this connection end; it is not used again after that."""
        self.generation = 0
        self.reused = False
        self.transport: Any = None

    # What an exchange does with it.

    def serve(self, sink: AnswerSink, method: str) -> None:
        """Begin an exchange; `method` decides how its answer is framed (RFC 9112, section 6.3)."""
        self._sink = sink
        self._answered = False
        self._started = False
        self._reader.expect(method)
        self._idle_seconds = self._idle_limit
        self.deadline = self.clock() + self._idle_seconds if self._idle_seconds else NEVER

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def wait_for_ever(self) -> None:
        """No idle limit for the rest of this answer: it is an event stream. Only the certificates end it."""
        self.deadline = self.expires
        self._idle_seconds = 0.0

    def spend(self) -> None:
        """Not to be used again, because the request was never sent to its end."""
        self._keep = False

    def abandon(self) -> None:
        """The client has gone: close at once, which is how a backend learns of it."""
        self._sink = None
        self.transport.abort()

    def retire(self) -> None:
        """Close politely; nothing is under way. A backend that does not take the rest is cut by the ticker."""
        self._sink = None
        self.deadline = self.clock() + LINGER_SECONDS
        self.transport.close()

    def read_on(self, wanted: bool) -> None:
        """Backpressure of the client: stop or go on reading the answer.

        While it is stopped the backend cannot be late.
        """
        if self._paused is not wanted or self.transport.is_closing():
            return
        self._paused = not wanted
        if self._idle_seconds and self._sink is not None:
            self.deadline = self.clock() + self._idle_seconds if wanted else NEVER
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    @property
    def usable(self) -> bool:
        return not self.transport.is_closing()

    # What the transport says.

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        sink = self._sink
        if sink is None:
            # An answer nobody asked for: the backend lied about a length before, or this is an attack.
            self.transport.abort()
            return
        if self._idle_seconds:
            self.deadline = self.clock() + self._idle_seconds
        try:
            self._reader.feed(data)
        except HttpRefused as refused:
            self._fail(Reason.UPSTREAM_MALFORMED, refused.detail)
            return
        sink.flush()
        if self._answered:
            self._sink = None
            self.deadline = NEVER
            # A client that was slow to the end must not leave the connection deaf for the next one.
            self.read_on(True)
            self._owner.released(self, self._keep and self.usable)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.deadline = NEVER
        sink = self._sink
        if sink is not None and not self._answered:
            self._end_of_stream(sink, exc)
        self._sink = None
        self._owner.lost(self)

    def _end_of_stream(self, sink: AnswerSink, exc: Exception | None) -> None:
        """The connection ended: that completes an answer of unknown length, and cuts any other."""
        if exc is None:
            try:
                self._reader.eof()
            except HttpRefused:
                pass
            else:
                if self._answered:
                    sink.flush()
                    return
        self._sink = None
        detail = "before its answer began" if not self._started else "in the middle of its answer"
        sink.upstream_failed(Reason.UPSTREAM_RESET, f"connection closed {detail}")

    def pause_writing(self) -> None:
        if self._sink is not None:
            self._sink.upstream_writable(False)

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.upstream_writable(True)

    # What the reader says.

    def on_interim(self, head: ResponseHead) -> None:
        if self._sink is not None:
            self._sink.answer_interim(head)

    def on_response(self, head: ResponseHead) -> None:
        self._started = True
        self._keep = head.keep_alive
        if self._sink is not None:
            self._sink.answer_head(head)

    def on_body(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink.answer_body(data)

    def on_response_end(self) -> None:
        if self._sink is not None:
            self._sink.answer_end()
        # Only now: if the sink failed, the connection that is torn down for it must still be told as a failure.
        self._answered = True

    # The end of an exchange.

    def expire(self) -> None:
        """The ticker: nothing came for too long, or a stream outlived the certificates of its connection."""
        if self.clock() >= self.expires and self._sink is not None and not self._idle_seconds:
            self.deadline = NEVER
            self._sink.upstream_expired()
            return
        self._fail(Reason.UPSTREAM_IDLE_TIMEOUT, f"silent for {self._idle_seconds:g} s")

    def _fail(self, reason: Reason, detail: str) -> None:
        sink, self._sink = self._sink, None
        self.deadline = NEVER
        self.transport.abort()
        if sink is not None:
            sink.upstream_failed(reason, detail)
