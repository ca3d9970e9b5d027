"""Our end of TLS with the application, in the place of the server it wanted.

All of TlsProtocol serves here as well; what differs is what a failure means. A peer of the mesh that refuses us
has a problem with identities; an application that refuses us does not trust the interception CA.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from mesh.reasons import Reason
from sidecar.identity.refused import TlsRefused
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.not_trusted import explain_client, hung_up, said_nothing
from sidecar.proxy.tls import HANDSHAKE_SECONDS, TlsProtocol
from sidecar.proxy.tls_transport import CLOSING, OPEN

OnFailure = Callable[[TlsRefused], None]


def intercepting_server(
    inner: asyncio.Protocol,
    authority: InterceptionAuthority,
    host: str,
    *,
    on_failure: OnFailure | None = None,
    on_silence: OnFailure | None = None,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> InterceptedTls:
    """End the application's TLS as if we were `host`.

    `on_failure` is called once, instead of anything on `inner`, when there is no connection; `on_silence` after
    `inner` lost a connection on which the client never said anything. Raises
    TlsRefused(INTERCEPTION_UNAVAILABLE) for a host that the authority must not vouch for.
    """
    return InterceptedTls(
        inner,
        authority.server_context(host),
        host,
        on_failure=on_failure,
        on_silence=on_silence,
        handshake_seconds=handshake_seconds,
    )


class InterceptedTls(TlsProtocol):
    """One intercepted connection. The client proves no identity: whoever is in the pod may use it."""

    __slots__ = ("_hung_up", "_on_silence", "host")

    def __init__(
        self,
        inner: asyncio.Protocol,
        context: ssl.SSLContext,
        host: str,
        *,
        on_failure: OnFailure | None,
        on_silence: OnFailure | None,
        handshake_seconds: float,
    ) -> None:
        super().__init__(
            inner, context, server_side=True, on_failure=on_failure, handshake_seconds=handshake_seconds
        )
        self.host = host
        self._on_silence = on_silence
        self._hung_up = False

    def eof_received(self) -> bool:
        """As of any TlsProtocol; during the handshake it means distrust."""
        self._hung_up = True
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """As of any TlsProtocol; then tell of a client that never said anything."""
        self._hung_up = exc is not None
        silent = self._ended_silently()
        super().connection_lost(exc)
        if silent and self._on_silence is not None:
            self._on_silence(said_nothing(self.host))

    def _ended_silently(self) -> bool:
        if self._served:
            return False
        by_client = self._peer_done or self._end is not None
        return self._state == OPEN or (self._state == CLOSING and by_client)

    def _explain(self, error: ssl.SSLError) -> TlsRefused:
        return explain_client(error, self.host)

    def _report(self, reason: Reason, detail: str, *, by_peer: bool = False) -> None:
        if self._hung_up:
            refused = hung_up(self.host)
            reason, detail, by_peer = refused.reason, refused.detail, refused.by_peer
        super()._report(reason, detail, by_peer=by_peer)
