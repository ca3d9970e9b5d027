"""A connection whose first bytes decide what it becomes.

Nothing is taken from the connection: what was read here is the first thing that the protocol that takes over is
given. A client that says nothing in time gets a connection that is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mesh.protocol.opening import Opening, opening
from mesh.protocol.tls import alert
from mesh.protocol.tls.client_hello import ClientHello, ClientHelloReader, NotClientHello
from mesh.reasons import Reason
from sidecar.proxy.ticker import NEVER

if TYPE_CHECKING:
    from sidecar.proxy.listener import Listener
    from sidecar.proxy.pipeline import Pipeline

SILENCE_SECONDS = 1.0
"""How long a client may say nothing before it is taken for one that waits for the server to speak first."""

Choose = Callable[["Peek", Opening, ClientHello | None], None]


class Peek(asyncio.Protocol):
    """Reads until it is clear what the connection carries, then calls `choose` once.

    `choose` gets the ClientHello where the opening is TLS, and ends by calling `become`, `release` or `refuse`.
    `peer` is for the log.
    """

    __slots__ = (
        "_choose",
        "_hello",
        "_listener",
        "_may_wait",
        "_peer",
        "_pipeline",
        "_received",
        "deadline",
        "transport",
    )

    def __init__(self, pipeline: Pipeline, listener: Listener, peer: str, choose: Choose) -> None:
        self._pipeline = pipeline
        self._listener = listener
        self._peer = peer
        self._choose = choose
        self._received = b""
        self._may_wait = False
        self._hello: ClientHelloReader | None = None
        self.transport: Any = None
        self.deadline = NEVER

    # What the transport says.

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.deadline = self._pipeline.clock() + self._pipeline.limits.handshake_seconds
        self._listener.opened(self)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._received += data
        try:
            found, hello = self._read(data)
        except NotClientHello as malformed:
            self.refuse(malformed.reason, malformed.detail, alert.refusal(malformed.reason))
            return
        if found is not None:
            self._choose(self, found, hello)

    def eof_received(self) -> bool:
        return False

    def may_wait(self) -> None:
        """The client may be one that waits for the server: its silence is an answer too."""
        self._may_wait = True
        self.deadline = self._pipeline.clock() + SILENCE_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.closed(self)

    def _read(self, data: bytes) -> tuple[Opening | None, ClientHello | None]:
        if self._hello is None:
            found = opening(self._received)
            if found is not Opening.TLS:
                return found, None
            self._hello = ClientHelloReader()
            data = self._received
        hello = self._hello.feed(data)
        return (None, None) if hello is None else (Opening.TLS, hello)

    # What `choose` does with it.

    def become(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Hand the connection to another protocol, with what was read; made when this one counts no more."""
        received = self.release()
        protocol = make()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if received and not self.transport.is_closing():
            protocol.data_received(received)

    def release(self) -> bytes:
        """Let go of the connection; gives what was read. Whoever calls this sets its next protocol."""
        received, self._received = self._received, b""
        self.deadline = NEVER
        self._listener.closed(self)
        return received

    def refuse(self, reason: Reason, detail: str, last_words: bytes = b"") -> None:
        """Close, after `last_words` that the client's protocol has for it."""
        self._may_wait = False
        self._pipeline.recorder.refused_message("client", self._peer, reason, detail)
        self.deadline = self._pipeline.clock() + self._pipeline.limits.linger_seconds
        self.transport.write(last_words)
        self.transport.close()

    # What the listener says.

    def expire(self) -> None:
        """The ticker: the client did not say in time what it wants, or does not take what it was told."""
        if self._may_wait and not self.transport.is_closing():
            self._may_wait = False
            self.deadline = self._pipeline.clock() + self._pipeline.limits.handshake_seconds
            if not self._received:
                self._choose(self, Opening.OTHER, None)
            return
        if not self.transport.is_closing():
            seconds = self._pipeline.limits.handshake_seconds
            detail = f"nothing within {seconds:g} s that says what it is"
            self._pipeline.recorder.refused_message("client", self._peer, Reason.HEAD_TIMEOUT, detail)
        self.deadline = NEVER
        self.transport.abort()

    def drain(self) -> None:
        """The sidecar is stopping; nothing is under way here."""
        self.transport.close()
