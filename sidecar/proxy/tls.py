"""TLS between a plain transport and a protocol: one connection, either side, on `ssl.MemoryBIO`.

Towards the network a TlsProtocol is a protocol, towards the `inner` protocol it is the transport (its other
half, sidecar.proxy.tls_transport); being both saves a call per write. The inner protocol hears of nothing
before the handshake is complete *and* the peer's identity is verified, so whatever it gets is from a peer
that proved who it is.

Why not the event loop's own TLS: stock asyncio keeps 256 KiB per connection, and neither it nor uvloop lets
us verify the peer before the first byte is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from mesh.identity.errors import PeerRefused
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.verify import VerifiedPeer
from mesh.reasons import Reason
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.refused import TlsRefused, TlsTruncated, explain
from sidecar.proxy.tls_transport import CLOSING, HANDSHAKE, LOST, OPEN, REFUSED, TlsTransport

__all__ = [
    "TlsProtocol",
    "TlsRefused",
    "TlsTruncated",
    "expect_identity",
    "mesh_client",
    "mesh_server",
    "public_client",
    "public_context",
]

Authorize = Callable[[SpiffeId], None]
OnFailure = Callable[[TlsRefused], None]

HANDSHAKE_SECONDS = 10.0
# How long we wait, after refusing a handshake, for the peer to read why. If we closed at once while its next
# bytes are under way, the kernel would send a reset, and a reset discards our alert on the peer's side.
LINGER_SECONDS = 1.0

_NOBODY = asyncio.Protocol()


def mesh_server(
    inner: asyncio.Protocol,
    identity: IdentityHolder,
    *,
    authorize: Authorize | None = None,
    on_failure: OnFailure | None = None,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> TlsProtocol:
    """Accept a peer of the mesh; raises TlsRefused with NO_SVID or SVID_EXPIRED."""
    return TlsProtocol(
        inner,
        identity.server_context,
        server_side=True,
        verify=identity.verify,
        svid_not_after=_own_not_after(identity),
        authorize=authorize,
        on_failure=on_failure,
        handshake_seconds=handshake_seconds,
    )


def mesh_client(
    inner: asyncio.Protocol,
    identity: IdentityHolder,
    *,
    authorize: Authorize | None = None,
    on_failure: OnFailure | None = None,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> TlsProtocol:
    """Dial a peer of the mesh; raises TlsRefused with NO_SVID or SVID_EXPIRED."""
    return TlsProtocol(
        inner,
        identity.client_context,
        server_side=False,
        verify=identity.verify,
        svid_not_after=_own_not_after(identity),
        authorize=authorize,
        on_failure=on_failure,
        handshake_seconds=handshake_seconds,
    )


def public_client(
    inner: asyncio.Protocol,
    context: ssl.SSLContext,
    host: str,
    *,
    on_failure: OnFailure | None = None,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> TlsProtocol:
    """Dial a server of the public web, which proves the name `host` by an ordinary certificate.

    Raises TlsRefused with TLS_HANDSHAKE when `host` cannot be the name of a server.
    """
    try:
        return TlsProtocol(
            inner,
            context,
            server_side=False,
            server_hostname=host,
            on_failure=on_failure,
            handshake_seconds=handshake_seconds,
        )
    except (ValueError, TypeError) as wrong:
        raise TlsRefused(Reason.TLS_HANDSHAKE, f"{host!r} cannot be a server's name: {wrong}") from wrong


def public_context(authorities_file: str | None = None, more_authorities: str = "") -> ssl.SSLContext:
    """Verify as the public web does, TLS 1.2 or newer; `authorities_file` (PEM) replaces the roots, and
    `more_authorities` (PEM text) are trusted besides."""
    context = ssl.create_default_context(cafile=authorities_file)
    if more_authorities:
        context.load_verify_locations(cadata=more_authorities)
        # Whoever is named is trusted, also an authority that is not self-signed: gRPC takes it so, too.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def expect_identity(expected: SpiffeId) -> Authorize:
    """An `authorize` that takes `expected` and raises PeerRefused(PEER_WRONG_IDENTITY) for all others."""

    def authorize(peer: SpiffeId) -> None:
        if peer != expected:
            raise PeerRefused(Reason.PEER_WRONG_IDENTITY, f"the peer is {peer}, expected {expected}")

    return authorize


class TlsProtocol(TlsTransport, asyncio.Protocol):
    """One TLS connection.

    inner               gets connection_made(self) after handshake, `verify` and `authorize`; then
                        data_received, eof_received (the peer's close_notify; a true answer keeps our half
                        open), pause_writing, resume_writing, connection_lost. There TlsTruncated means an end
                        without close_notify, and TlsRefused that the peer refused us only after our side of
                        the handshake was complete, which is usual in TLS 1.3.
    verify              from the peer's chain (DER, leaf first) to who it is; raises PeerRefused. None:
                        `context` alone decides (public TLS).
    authorize           raises PeerRefused for a peer that is genuine but not wanted here.
    on_failure          called once, instead of anything on `inner`, when the connection does not come to be.
    handshake_seconds   the whole handshake must be over by then.

    get_extra_info knows, besides what the plain transport knows: peer_id (SpiffeId), peer_not_after, peer_serial,
    svid_not_after and deadline (datetime), alpn (str) and ssl_object.
    """

    __slots__ = (
        "_authorize",
        "_on_failure",
        "_seconds",
        "_timer",
        "_verify",
        "peer",
        "svid_not_after",
    )

    def __init__(
        self,
        inner: asyncio.Protocol,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
        verify: Callable[[Sequence[bytes]], VerifiedPeer] | None = None,
        svid_not_after: datetime | None = None,
        authorize: Authorize | None = None,
        on_failure: OnFailure | None = None,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        super().__init__(inner, context, server_side=server_side, server_hostname=server_hostname)
        self._verify = verify
        self._authorize = authorize
        self._on_failure = on_failure
        self._seconds = handshake_seconds
        self.peer: VerifiedPeer | None = None
        self.svid_not_after = svid_not_after

    # Towards the network: a protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds, self._handshake_took_too_long)
        if not self._server_side:
            self._handshake()

    def data_received(self, data: bytes) -> None:
        """Decrypt and hand on; or go on with the handshake."""
        if self._state == OPEN:
            self._receive(data)
        elif self._state == HANDSHAKE:
            self._hold(data)
            self._handshake()

    def eof_received(self) -> bool:
        """The peer's half of the TCP connection ended: in order only after its close_notify."""
        if self._state == HANDSHAKE:
            self._report(Reason.TLS_HANDSHAKE, "the other side went away during the handshake", by_peer=True)
        if self._state != OPEN:
            return False
        # What arrived before goes first; there may be a close_notify in it.
        self._fin = True
        if not self._paused:
            self._deliver()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the inner protocol, or whoever waits for the handshake; let go of what the connection held."""
        state = self._state
        self._timer.cancel()
        if state == HANDSHAKE:
            why = str(exc) if exc else "the connection was closed"
            self._report(
                Reason.TLS_HANDSHAKE, f"the handshake did not finish: {why}", by_peer=exc is not None
            )
        elif state == OPEN and exc is None and not self._peer_done:
            exc = self._truncated()
        self._state = LOST
        inner, self._inner = self._inner, _NOBODY
        self._held.clear()
        del self._ssl, self._incoming, self._outgoing
        if state in (OPEN, CLOSING):
            inner.connection_lost(self._end or exc)

    def pause_writing(self) -> None:
        """The plain transport's buffer is full."""
        if self._state == OPEN:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The plain transport's buffer has drained."""
        if self._state == OPEN:
            self._inner.resume_writing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See the class; any other name is asked of the plain transport."""
        known = _EXTRA.get(name)
        if known is None:
            return self._transport.get_extra_info(name, default)
        found = None if self._state == LOST and name in ("alpn", "ssl_object") else known(self)
        return default if found is None else found

    @property
    def deadline(self) -> datetime | None:
        """When the first of both sides' SVIDs ends (UTC): a connection must not be used beyond that.

        None before the handshake and for public TLS. The owner closes it, between two messages.
        """
        if self.peer is None or self.svid_not_after is None:
            return None
        return min(self.peer.not_after, self.svid_not_after)

    # Inside.

    def _handshake(self) -> None:
        while True:
            if self._held:
                self._incoming.write(self._held.pop(0))
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                if not self._held:
                    return
            except ssl.SSLError as error:
                self._refuse(self._explain(error))
                return
            else:
                self._flush()
                self._handshake_complete()
                return

    def _handshake_complete(self) -> None:
        try:
            if self._verify is not None:
                self.peer = self._verify(peer_chain(self._ssl))
                if self._authorize is not None:
                    self._authorize(self.peer.spiffe_id)
        except PeerRefused as refused:
            self._refuse(TlsRefused.of(refused))
            return
        except TlsRefused as refused:
            self._refuse(refused)
            return
        self._timer.cancel()
        self._state = OPEN
        self._inner.connection_made(self)
        # The client's first request may have come together with the end of its handshake.
        if (self._held or self._incoming.pending) and not self._paused:
            self._deliver()

    def _explain(self, error: ssl.SSLError) -> TlsRefused:
        return explain(error, handshaking=True)

    def _handshake_took_too_long(self) -> None:
        self._report(Reason.TLS_HANDSHAKE, f"the handshake took longer than {self._seconds} s", by_peer=True)
        self._transport.abort()

    def _refuse(self, refused: TlsRefused) -> None:
        """Refuse the handshake, and give the peer time to read the alert that says why."""
        self._state = REFUSED
        self._timer.cancel()
        self._held.clear()
        self._flush()
        # A peer that refused us may be gone altogether, its reset right behind its alert.
        with contextlib.suppress(OSError):
            if self._transport.can_write_eof():
                self._transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)
        if self._on_failure is not None:
            self._on_failure(refused)

    def _report(self, reason: Reason, detail: str, *, by_peer: bool = False) -> None:
        self._state = REFUSED
        if self._on_failure is not None:
            self._on_failure(TlsRefused(reason, detail, by_peer=by_peer))


_EXTRA: dict[str, Callable[[TlsProtocol], Any]] = {
    "peer_id": lambda tls: tls.peer and tls.peer.spiffe_id,
    "peer_not_after": lambda tls: tls.peer and tls.peer.not_after,
    "peer_serial": lambda tls: tls.peer and tls.peer.serial,
    "svid_not_after": lambda tls: tls.svid_not_after,
    "deadline": lambda tls: tls.deadline,
    "alpn": lambda tls: tls._ssl.selected_alpn_protocol(),
    "ssl_object": lambda tls: tls._ssl,
}


def peer_chain(tls: ssl.SSLObject) -> list[bytes]:
    """The certificates that the peer sent (DER, leaf first); empty when it sent none."""
    public = getattr(tls, "get_unverified_chain", None)
    if public is not None:  # Python 3.13 and later
        return list(public())
    found = cast("Any", tls)._sslobj.get_unverified_chain()
    return [certificate.public_bytes(_DER) for certificate in found or ()]


_DER = 2  # the encoding's number in CPython's _ssl module (ENCODING_DER)


def _own_not_after(identity: IdentityHolder) -> datetime | None:
    return None if identity.current is None else identity.current.svid.not_after
