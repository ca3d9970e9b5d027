"""The first message of a TLS client, read before anybody answers it: which server does it ask for?

Whether a connection is inspected, passed or refused is decided on the name in it, and a connection that is passed
is read again by a server that we do not know. So there is no repairing: what another reader could take for
another name is refused. Sources: RFC 8446, 4.1.2, 4.2 and 5.1; RFC 6066, section 3 (server_name); RFC 7301,
section 3.1 (ALPN); RFC 8701 (GREASE).
"""

from __future__ import annotations

from dataclasses import dataclass

from mesh.protocol.tls.cursor import Cursor, NotClientHello, malformed
from mesh.protocol.tls.extensions import alpn, server_name, supported_versions
from mesh.reasons import Reason

__all__ = ["ClientHello", "ClientHelloReader", "NotClientHello", "read_client_hello"]

MOST_BYTES = 64 * 1024
"""Most that is looked at. A hello with post-quantum key shares takes about 2 KiB."""

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4
_MOST_FRAGMENT = 2**14
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS, _ENCRYPTED_HELLO = 0, 16, 43, 0xFE0D
_TWO_BYTES = 2**16 - 1


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client asks for.

    `server_name` is in lower case and without trailing dot, None where the client names none. `versions` are those
    of supported_versions without GREASE, else the legacy version alone. `encrypted` says that the hello carries an
    encrypted one (ECH) that may name another server; many clients send the extension filled with chance (GREASE),
    which looks the same.
    """

    server_name: str | None
    alpn: tuple[bytes, ...]
    versions: tuple[int, ...]
    encrypted: bool = False


def read_client_hello(data: bytes) -> ClientHello | None:
    """Read the ClientHello at the start of `data`; None when more bytes are needed. Raises NotClientHello.

    What follows the hello is not looked at. For data that arrives in pieces use ClientHelloReader, which looks at
    every byte once.
    """
    return ClientHelloReader().feed(data)


class ClientHelloReader:
    """Reads a ClientHello from pieces of any size; how they are cut changes nothing.

    `received` is all that was fed so far, for whoever terminates the connection or passes it on.
    """

    __slots__ = ("_at", "_message", "received")

    def __init__(self) -> None:
        self.received = bytearray()
        self._message = bytearray()  # the handshake message, out of the records up to `_at`
        self._at = 0

    def feed(self, data: bytes) -> ClientHello | None:
        """The ClientHello once it is complete, None before; raises NotClientHello.

        After either of the two that are not None the reader is done and must not be fed again.
        """
        self.received += data
        while (fragment := self._next_fragment()) is not None:
            self._message += fragment
            if (body := self._whole_message()) is not None:
                return _client_hello(body)
        return None

    def _next_fragment(self) -> bytes | None:
        """What the next record holds (RFC 8446, 5.1); None until it is there in full."""
        header = self.received[self._at : self._at + _RECORD_HEADER]
        # The version of a record means nothing but that its first byte has always been 3.
        if header and (header[0] != _HANDSHAKE or (len(header) > 1 and header[1] != 3)):
            if self._at:
                raise malformed("a record that is no handshake stands in the middle of the ClientHello")
            raise NotClientHello(Reason.NOT_TLS, "the first bytes are no TLS handshake")
        if len(header) < _RECORD_HEADER:
            return None
        length = int.from_bytes(header[3:], "big")
        start = self._at + _RECORD_HEADER
        if not 0 < length <= _MOST_FRAGMENT:
            raise malformed(f"a handshake record of {length} bytes")
        if start + length > MOST_BYTES:
            raise malformed(f"the ClientHello does not end within {MOST_BYTES} bytes")
        if len(self.received) < start + length:
            return None
        self._at = start + length
        return bytes(self.received[start : self._at])

    def _whole_message(self) -> bytes | None:
        """The body of the handshake message; None until it is complete."""
        message = self._message
        if message[0] != _CLIENT_HELLO:
            raise NotClientHello(Reason.NOT_TLS, "the first handshake message is no ClientHello")
        if len(message) < _MESSAGE_HEADER:
            return None
        length = int.from_bytes(message[1:_MESSAGE_HEADER], "big")
        if length > MOST_BYTES:
            raise malformed(f"a ClientHello of {length} bytes, allowed are {MOST_BYTES}")
        if len(message) > _MESSAGE_HEADER + length:
            # No client sends on before the server's answer (RFC 8446, 5.1: no message shares the record).
            raise malformed("another message follows in the record of the ClientHello")
        return bytes(message[_MESSAGE_HEADER:]) if len(message) == _MESSAGE_HEADER + length else None


def _client_hello(body: bytes) -> ClientHello:
    hello = Cursor(body, "the ClientHello")
    legacy_version = hello.number(2)
    if legacy_version >> 8 != 3:
        raise malformed(f"a ClientHello of version 0x{legacy_version:04x}")
    hello.take(32)  # random
    hello.vector(1, 0, 32)  # session id
    if len(hello.vector(2, 2, _TWO_BYTES - 1)) % 2:
        raise malformed("half a cipher suite")
    if 0 not in hello.vector(1, 1, 255):
        raise malformed("the compression methods lack the null method")
    extensions = {} if hello.at_end else _extensions(hello.vector(2, 0, _TWO_BYTES))
    hello.end()
    return ClientHello(
        server_name=None if (name := extensions.get(_SERVER_NAME)) is None else server_name(name),
        alpn=() if (names := extensions.get(_ALPN)) is None else alpn(names),
        versions=(legacy_version,)
        if (found := extensions.get(_SUPPORTED_VERSIONS)) is None
        else supported_versions(found),
        encrypted=_ENCRYPTED_HELLO in extensions,
    )


def _extensions(block: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    cursor = Cursor(block, "the extensions")
    while not cursor.at_end:
        kind, data = cursor.number(2), cursor.vector(2, 0, _TWO_BYTES)
        if kind in found:
            raise malformed(f"extension {kind} occurs twice")
        found[kind] = data
    return found
