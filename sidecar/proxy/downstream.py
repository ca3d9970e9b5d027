"""One accepted connection: requests in, answers out, one exchange at a time.

Requests that a client sends ahead (pipelining) wait in the reader until the answer before them is out; beyond a
bound the connection is not read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.reader import RequestReader
from mesh.protocol.opening import TLS_HANDSHAKE
from mesh.protocol.tls import alert
from mesh.reasons import Reason
from sidecar.proxy import replies
from sidecar.proxy.channel import Channel
from sidecar.proxy.exchange import Exchange
from sidecar.proxy.pipeline import Pipeline
from sidecar.proxy.plan import Tunnel
from sidecar.proxy.ticker import NEVER, Watched
from sidecar.proxy.tunnel import TUNNEL_OPEN, Relay
from sidecar.proxy.vigil import Vigil

if TYPE_CHECKING:
    from sidecar.proxy.listener import Listener

MAX_HELD = 64 * 1024
"""Bytes of requests sent ahead that are kept before reading stops."""


class Downstream(asyncio.Protocol):
    """The protocol of an accepted connection."""

    __slots__ = (
        "_closing",
        "_exchange",
        "_exchange_reads",
        "_listener",
        "_pipeline",
        "_reader",
        "_reading",
        "_relay",
        "_vigil",
        "_waiting",
        "_wants_tls_check",
        "_writable",
        "channel",
        "deadline",
        "expires",
        "transport",
    )

    def __init__(self, pipeline: Pipeline, listener: Listener, channel: Channel) -> None:
        self._pipeline = pipeline
        self._listener = listener
        self.channel = channel
        self._reader = RequestReader(self, pipeline.http_limits)
        self._exchange: Exchange | None = None
        self._relay: Relay | None = None
        self._wants_tls_check = False
        self._closing = False
        self._writable = True
        self._vigil = Vigil(self, pipeline, listener)
        self._waiting = False  # the next request waits until the client reads its answers
        self._reading = True
        self._exchange_reads = True
        self.transport: Any = None
        self.deadline = NEVER
        self.expires = NEVER
        """Loop time at which the certificates of this connection end; no request begins after that."""

    # What the transport says.

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._listener.opened(self)
        self.rest()

    def data_received(self, data: bytes) -> None:
        if self._relay is not None:
            self._relay.from_client(data)
            return
        if self._wants_tls_check and not self._first_is_http(data):
            return
        if self._exchange is not None or self._reader.between_messages:
            # A head must arrive within the limit as a whole; a body only has to keep coming.
            self._expect_more()
        reader = self._reader
        try:
            reader.feed(data)
        except HttpRefused as refused:
            self._refuse(refused)
            return
        if reader is not self._reader or self._relay is not None:
            self._read_rest(reader)
        else:
            if self._exchange is None and reader.between_messages and not self._closing and not self._waiting:
                self.rest()
            self._apply_reading()

    def _read_rest(self, reader: RequestReader) -> None:
        """Hand on what came behind a CONNECT: it belongs to the tunnel."""
        if rest := reader.unread():
            self.data_received(rest)

    def eof_received(self) -> bool:
        """A client of HTTP that ends its side has gone: that is how it cancels. A tunnel has two ends."""
        return self._relay is not None and self._relay.client_ended()

    def connection_lost(self, exc: Exception | None) -> None:
        self.deadline = NEVER
        self._closing = self._reading = True
        self._vigil.end()
        self._listener.closed(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_gone()
        if self._relay is not None:
            self._relay.client_gone()

    def pause_writing(self) -> None:
        self._writable = False
        self._vigil.stuck()
        if self._exchange is not None:
            self._exchange.client_writable(False)
        elif self._relay is not None:
            self._relay.client_writable(False)

    def resume_writing(self) -> None:
        self._writable = True
        self._vigil.taking()
        if self._exchange is not None:
            self._exchange.client_writable(True)
        elif self._relay is not None:
            self._relay.client_writable(True)
        elif self._waiting:
            self._next_request()

    # What the reader says.

    def on_request(self, head: RequestHead) -> None:
        self._reader.pause()
        if self._pipeline.clock() >= self.expires:
            # The ticker comes round only once a second, and nobody is served who proves nothing any more.
            self.hang_up()
            return
        if not head.keep_alive and head.method != "CONNECT":
            # On a CONNECT the field is about the proxy's connection, which the tunnel then takes over.
            self._closing = True
        self._exchange = exchange = Exchange(self, self._pipeline, head)
        exchange.begin()

    def on_body(self, data: bytes) -> None:
        if self._exchange is not None:
            self._exchange.request_body(data)

    def on_request_end(self) -> None:
        if self._exchange is not None:
            self.deadline = self.expires
            # Whatever the body had to wait for: from here on only the end of the connection can be news.
            self._exchange_reads = True
            self._exchange.request_end()

    # What the exchange asks for.

    @property
    def closing(self) -> bool:
        """True if the connection ends after the present answer."""
        return self._closing or self._listener.draining

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def read_on(self, wanted: bool) -> None:
        """The exchange, or a tunnel, wants more of what the client sends, or no more for now.

        While the client is paused it cannot be late.
        """
        self._exchange_reads = wanted
        if not wanted:
            self.deadline = self.expires
        elif self._exchange is not None and not self._exchange.request_complete:
            self._expect_more()
        self._apply_reading()

    def _apply_reading(self) -> None:
        wanted = self._exchange_reads and self._reader.held <= MAX_HELD
        if wanted is self._reading or self.transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
            self._vigil.begin()

    def close_after_answer(self) -> None:
        self._closing = True

    def hang_up(self) -> None:
        """Close once what was written is out, or when that takes too long."""
        self._closing = True
        self.deadline = NEVER
        if not self.transport.is_closing():
            self._vigil.leaving()
            self.transport.close()

    def tunnel_until(self, expires: float) -> None:
        """The certificates under a tunnel end at this loop time."""
        self.expires = min(self.expires, expires)
        self.deadline = min(self.deadline, self.expires)

    def end_writing(self) -> None:
        """Tell the client that no more will come; it may go on sending."""
        if not self.transport.is_closing():
            self.transport.write_eof()

    def half_closed(self) -> None:
        """One end of the tunnel has said all it has to say: from here on there is a limit."""
        self.rest()
        self._vigil.begin()

    def watch(self, watched: Watched) -> None:
        """Have something looked at on each tick that belongs to this connection."""
        self._listener.watch(watched)

    def abort(self) -> None:
        """Cut the connection: the client has seen part of an answer that cannot be completed."""
        self.transport.abort()

    def exchange_done(self, exchange: Exchange) -> None:
        """The present exchange is over in both directions."""
        if exchange is not self._exchange:
            return
        self._exchange = None
        if self.closing or self._pipeline.clock() >= self.expires:
            self.hang_up()
            return
        self._exchange_reads = True
        self.rest()
        if self._writable:
            self._next_request()
        else:
            # The client sends ahead and does not read: its answers must not pile up here.
            self._waiting = True

    def _next_request(self) -> None:
        """Take up what was sent ahead."""
        self._waiting = False
        reader = self._reader
        try:
            reader.resume()
        except HttpRefused as refused:
            self._refuse(refused)
            return
        if reader is not self._reader or self._relay is not None:
            self._read_rest(reader)
            return
        if self._exchange is None and not self._reader.between_messages and not self._waiting:
            self._expect_more()
        self._apply_reading()

    def open_tunnel(self, tunnel: Tunnel, first: bytes | None = None, *, ended: bool = False) -> None:
        """A tunnel was granted: read the HTTP inside, or relay bytes. `first` and `ended`: see `Relay`."""
        self._exchange = None
        if tunnel.inspected:
            self.channel.tunnel = (tunnel.host, tunnel.port)
            self._reader = RequestReader(self, self._pipeline.http_limits)
            self._wants_tls_check = True
            self.write(TUNNEL_OPEN)
            self.rest()
            return
        self.deadline = self.expires
        self._relay = Relay(self, self._pipeline, tunnel, first, ended=ended)
        self._relay.connect()

    def _first_is_http(self, data: bytes) -> bool:
        """Inside an inspected tunnel HTTP can be read, and TLS where it may be ended here."""
        self._wants_tls_check = False
        if data[0] != TLS_HANDSHAKE:
            return True
        host, port = self.channel.tunnel or ("", 0)
        interception = self._pipeline.interception
        if interception is not None and self._pipeline.intercepts(host, port):
            self.deadline = NEVER
            self._listener.closed(self)
            interception.take_over(self.transport, self._listener, self.channel, data)
            return False
        reason = self._pipeline.unable(host, port)
        detail = f"TLS inside a tunnel to {host}:{port}: {reason.sentence}"
        self._pipeline.recorder.refused_message("client", self.channel.peer, reason, detail)
        self.write(alert.refusal(reason))
        self.hang_up()
        return False

    # Time and trouble.

    def rest(self) -> None:
        """Nothing is under way, or only one end of a tunnel is still open: for that there is a limit."""
        idle = self._pipeline.limits.idle_seconds
        self.deadline = min(self._pipeline.clock() + idle if idle else NEVER, self.expires)

    def _expect_more(self) -> None:
        """A request has begun: it must arrive in time."""
        limit = self._pipeline.limits.head_seconds
        self.deadline = self._pipeline.clock() + limit if limit else NEVER

    @property
    def tunnel(self) -> Tunnel | None:
        """The opaque tunnel that this connection has become."""
        return None if self._relay is None else self._relay.tunnel

    @property
    def half_open(self) -> bool:
        """True in a tunnel of which one end has said all it has to say."""
        return self._relay is not None and self._relay.half_closed and not self.transport.is_closing()

    @property
    def deaf(self) -> bool:
        """True while the client could leave unnoticed. Not where its last bytes still wait for a tunnel."""
        return not (self._reading or self.transport.is_closing()) and (
            self._relay is None or self._relay.awaited
        )

    @property
    def tunnelled(self) -> bool:
        """True in an opaque tunnel, where a pause is the application's own business."""
        return self._relay is not None

    def expire(self) -> None:
        """The ticker: the client was silent for too long."""
        if self._exchange is not None and self._exchange.request_complete:
            # The certificates have ended. A call may finish; a stream would go on for ever, also one that has
            # not begun yet, so this is asked again on each tick.
            if self._exchange.streaming:
                self.deadline = NEVER
                self._exchange.end_stream()
            return
        self.deadline = NEVER
        if self._relay is not None:
            self._pipeline.recorder.refused_message(
                "client",
                self.channel.peer,
                Reason.IDLE_TIMEOUT,
                "a tunnel with one end closed, or past its SVID",
            )
            self.abort()
            return
        if self._reader.between_messages:
            self.hang_up()
            return
        self._refuse(HttpRefused(Reason.HEAD_TIMEOUT, "the request did not arrive in time", 408))

    def _refuse(self, refused: HttpRefused) -> None:
        """What came is no HTTP that can be read safely: answer once and close."""
        self._pipeline.recorder.refused_message("client", self.channel.peer, refused.reason, refused.detail)
        exchange, self._exchange = self._exchange, None
        self._closing = True
        if exchange is not None:
            exchange.client_gone()
            if exchange.begun:
                # Part of an answer is out; anything more would be read as its rest.
                self.hang_up()
                return
        self.write(replies.encode_refused(refused))
        self.hang_up()

    def drain(self) -> None:
        """The sidecar is stopping: idle connections close now, event streams end politely."""
        if self._exchange is None:
            if self._relay is None:
                self.hang_up()
            return
        if self._exchange.streaming:
            self._exchange.end_stream()
