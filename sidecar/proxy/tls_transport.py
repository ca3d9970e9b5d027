"""An open TLS connection as an asyncio transport: what the protocol inside it writes to and is fed by.

One half of a TLS connection; `sidecar.proxy.tls.TlsProtocol` adds the half that faces the network, with the
handshake. Everything per request is here, so this is written for few calls and few copies.

What a MemoryBIO once grew to it keeps, so data goes through it in slices of a record (16 KiB) and an idle
connection stays small.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import cast

from sidecar.identity.refused import TlsTruncated, explain

RECORD = 16 * 1024  # most plain text that a TLS record holds (RFC 8446, 5.1)
SLICE = RECORD + 512  # a full record with its header and expansion
DELIVERY_RECORDS = 4  # most records that one data_received of the inner protocol gets together

# REFUSED: the handshake came to nothing, the inner protocol never hears of this connection.
# CLOSING: it was open, and the inner protocol is still owed its connection_lost.
HANDSHAKE, OPEN, CLOSING, REFUSED, LOST = range(5)


class TlsTransport(asyncio.Transport):
    """Encrypts what is written, decrypts what arrived, keeps to the rules of asyncio's transports."""

    __slots__ = (
        "_corked",
        "_end",
        "_eof_sent",
        "_fin",
        "_held",
        "_incoming",
        "_inner",
        "_outgoing",
        "_paused",
        "_peer_done",
        "_served",
        "_server_side",
        "_ssl",
        "_state",
        "_stop",
        "_transport",
    )

    _transport: asyncio.Transport

    def __init__(
        self,
        inner: asyncio.Protocol,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        super().__init__()
        self._inner = inner
        self._server_side = server_side
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side, server_hostname)
        self._state = HANDSHAKE
        self._paused = False  # the inner protocol wants no data now
        self._held: list[memoryview] = []  # arrived, not yet decrypted
        self._corked = False  # records wait for the end of a delivery, to leave in one write
        self._served = False  # the inner protocol got data
        self._stop: ssl.SSLError | bool = (
            False  # after what is decrypted comes close_notify (True) or an error
        )
        self._fin = False  # the peer's half of the TCP connection ended
        self._peer_done = False  # close_notify received
        self._eof_sent = False  # close_notify sent
        self._end: Exception | None = None  # what connection_lost will say

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; bytes after `close` or the connection's end are dropped, as asyncio does."""
        if self._state != OPEN or not data:
            return
        if self._eof_sent:
            raise RuntimeError("write after write_eof")
        try:
            if len(data) <= RECORD:
                self._ssl.write(data)
                if not self._corked:
                    self._transport.write(self._outgoing.read())
            else:
                self._write_in_slices(memoryview(data).cast("B"))
        except ssl.SSLError as broken:
            self._break(broken)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt and send as one, in as few records as it takes."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Send close_notify and go on reading: TLS 1.3 closes each direction by itself."""
        if self._state == OPEN and not self._eof_sent:
            self._say_goodbye()

    def can_write_eof(self) -> bool:
        """Yes: see `write_eof`."""
        return True

    def close(self) -> None:
        """Send what is written, then close_notify, then close; nothing more is received."""
        if self._state == OPEN:
            if not self._eof_sent:
                self._say_goodbye()
            self._state = CLOSING
            self._transport.close()
        elif self._state == HANDSHAKE:
            self._transport.abort()

    def abort(self) -> None:
        """Close at once and drop what is unsent; without close_notify, so that it cannot look complete."""
        if self._state == OPEN:
            self._state = CLOSING
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether writing is pointless by now."""
        return self._state != OPEN or self._transport.is_closing()

    def pause_reading(self) -> None:
        """Deliver no data until `resume_reading`."""
        if not self._paused and self._state == OPEN:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Deliver again; what was held meanwhile comes first, in the loop's next turn."""
        if not self._paused:
            return
        self._paused = False
        if self._state == OPEN:
            self._transport.resume_reading()
            if self._held or self._stop or self._fin or self._incoming.pending:
                asyncio.get_running_loop().call_soon(self._deliver)

    def is_reading(self) -> bool:
        """Whether data is delivered now."""
        return self._state == OPEN and not self._paused

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The plain transport's (low, high)."""
        return self._transport.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As of any asyncio transport; counted in encrypted bytes."""
        self._transport.set_write_buffer_limits(high, low)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another inner protocol from now on; it gets no connection_made."""
        self._inner = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The inner protocol."""
        return self._inner

    # Inside.

    def _hold(self, data: bytes) -> None:
        view = memoryview(data)
        self._held.extend(view[start : start + SLICE] for start in range(0, len(view), SLICE))

    def _receive(self, data: bytes) -> None:
        """Decrypt what arrived and hand it on. The usual case first: one record, nothing held before it."""
        if self._held or self._paused or len(data) > SLICE:
            self._hold(data)
            self._deliver()
            return
        self._incoming.write(data)
        plain = self._read_record()
        if plain and not self._incoming.pending:
            self._served = True
            self._inner.data_received(plain)
        else:
            self._deliver(plain)

    def _deliver(self, first: bytes = b"") -> None:
        """Hand on `first` and what follows it, until nothing is left or the inner protocol has enough."""
        self._corked = True
        try:
            while self._state == OPEN and not self._paused:
                plain = self._read_records(first)
                if not plain:
                    break
                first = b""
                self._served = True
                self._inner.data_received(plain)
        finally:
            self._corked = False
        if self._state == OPEN:
            self._flush()
            if not self._paused and (self._stop or self._fin):
                self._stopped()

    def _read_records(self, first: bytes) -> bytes:
        """`first` with the records after it, a few at most; b"" when there is none."""
        found = [first] if first else []
        while len(found) < DELIVERY_RECORDS and not self._stop:
            if not self._incoming.pending:
                if not self._held:
                    break
                self._incoming.write(self._held.pop(0))
            plain = self._read_record()
            if plain:
                found.append(plain)
        return found[0] if len(found) == 1 else b"".join(found)

    def _read_record(self) -> bytes:
        """The next record's plain text; b"" when it is incomplete, or `_stop` says what came instead."""
        try:
            plain = self._ssl.read(RECORD)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            self._stop = True
            return b""
        except ssl.SSLError as error:
            self._stop = error
            return b""
        if not plain:
            self._stop = True
        return plain

    def _stopped(self) -> None:
        """All that arrived is handed on, and no more can come: an error, close_notify or only the end of TCP."""
        if isinstance(self._stop, ssl.SSLError):
            self._break(self._stop)
        elif not self._stop:
            self._state, self._end = CLOSING, self._truncated()
            self._transport.close()
        elif not self._peer_done:
            self._peer_done = True
            stay_open = self._inner.eof_received()
            if not stay_open or self._eof_sent:
                self.close()

    def _break(self, error: ssl.SSLError) -> None:
        """The TLS connection failed: tell the peer by the alert that OpenSSL wrote, and end it."""
        self._state, self._end = CLOSING, explain(error, handshaking=False)
        # Behind what a peer does not read the alert would never leave, and the connection never end.
        if self._transport.get_write_buffer_size():
            self._transport.abort()
            return
        self._flush()
        self._transport.close()

    def _write_in_slices(self, view: memoryview) -> None:
        for start in range(0, len(view), RECORD):
            self._ssl.write(view[start : start + RECORD])
            self._transport.write(self._outgoing.read())

    def _say_goodbye(self) -> None:
        self._eof_sent = True
        # OpenSSL would look for the peer's close_notify as well and choke on data that is not read yet.
        unread = self._incoming.read()
        with contextlib.suppress(ssl.SSLError):
            self._ssl.unwrap()
        self._incoming.write(unread)
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _truncated(self) -> TlsTruncated:
        hint = (
            "" if self._served or self._server_side else ", right after the handshake: it may have refused us"
        )
        return TlsTruncated(f"the peer ended the connection without close_notify{hint}")
