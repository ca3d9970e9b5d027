"""The first protocol of a connection that should be TLS: it reads whom the client wants, then gives way.

Whoever comes next gets the connection as if it were new, together with every byte that was read, so it may end TLS
itself or pass the bytes on. A refusal is an alert, which the client's library turns into an error with a name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from mesh.protocol.tls.alert import refusal
from mesh.protocol.tls.client_hello import ClientHello, ClientHelloReader, NotClientHello
from mesh.reasons import Reason
from sidecar.identity.refused import TlsRefused
from sidecar.proxy.tls import HANDSHAKE_SECONDS, LINGER_SECONDS

Decide = Callable[[ClientHello], asyncio.Protocol]
Refused = Callable[[TlsRefused], None]


class HelloGate(asyncio.Protocol):
    """Reads a ClientHello and hands its connection on.

    decide    from the hello to the protocol that comes next; raises TlsRefused.
    refused   called once when nothing comes next: the client is refused, too slow, or gone in the middle. A
              connection that ends without a byte is not worth a word.
    plain     the protocol for a client that does not speak TLS; None refuses it with NOT_TLS.
    seconds   the hello must be complete by then.
    """

    __slots__ = ("_decide", "_done", "_plain", "_reader", "_refused", "_seconds", "_timer", "transport")

    _timer: asyncio.TimerHandle

    def __init__(
        self,
        decide: Decide,
        refused: Refused,
        *,
        plain: Callable[[], asyncio.Protocol] | None = None,
        seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self._decide = decide
        self._refused = refused
        self._plain = plain
        self._seconds = seconds
        self._reader = ClientHelloReader()
        self._done = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the hello."""
        self.transport = transport
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._too_slow)

    def data_received(self, data: bytes) -> None:
        """Read on; what follows a refusal is dropped."""
        if self._done:
            return
        try:
            hello = self._reader.feed(data)
            if hello is not None:
                self._hand_on(self._decide(hello))
        except NotClientHello as wrong:
            if wrong.reason is Reason.NOT_TLS and self._plain is not None:
                self._hand_on(self._plain())
            else:
                self._refuse(TlsRefused(wrong.reason, wrong.detail))
        except TlsRefused as refused:
            self._refuse(refused)

    def eof_received(self) -> bool:
        """A client that ends its side before its hello will get nothing either."""
        self._gone()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or we ended it."""
        self._gone()
        self._timer.cancel()

    def _hand_on(self, successor: asyncio.Protocol) -> None:
        self._done = True
        self._timer.cancel()
        self.transport.set_protocol(successor)
        successor.connection_made(self.transport)
        if not self.transport.is_closing():
            successor.data_received(bytes(self._reader.received))

    def _refuse(self, refused: TlsRefused) -> None:
        """Send the alert, and give the client time to read it: a close at once could overtake it as a reset."""
        self._done = True
        self._timer.cancel()
        self.transport.write(refusal(refused.reason))
        with contextlib.suppress(OSError):
            if self.transport.can_write_eof():
                self.transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.transport.abort)
        self._refused(refused)

    def _too_slow(self) -> None:
        self._done = True
        self.transport.abort()
        self._refused(
            TlsRefused(
                Reason.HEAD_TIMEOUT, f"no complete ClientHello within {self._seconds:g} s", by_peer=True
            )
        )

    def _gone(self) -> None:
        if not self._done and self._reader.received:
            self._refused(
                TlsRefused(
                    Reason.CLIENT_GONE, "the client hung up in the middle of its ClientHello", by_peer=True
                )
            )
        self._done = True
