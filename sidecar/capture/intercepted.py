"""TLS of the application that is ended here, so that what is inside can be decided.

The application believes that it talks to the host; the sidecar shows it a certificate of the authority that only
this pod trusts, and makes the connection to the real host itself, with that host's own certificate verified.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mesh.protocol.tls import alert
from sidecar.identity.refused import TlsRefused
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.server import intercepting_server
from sidecar.proxy.channel import Channel
from sidecar.proxy.downstream import Downstream

if TYPE_CHECKING:
    from sidecar.proxy.listener import Listener
    from sidecar.proxy.pipeline import Pipeline


class Interception:
    """Takes over connections whose TLS is to be ended here."""

    def __init__(self, pipeline: Pipeline, authority: InterceptionAuthority) -> None:
        self._pipeline = pipeline
        self._authority = authority

    def covers(self, host: str) -> bool:
        """Whether the authority may vouch for this host."""
        return self._authority.hosts.cover(host)

    def take_over(self, transport: Any, listener: Listener, channel: Channel, received: bytes) -> None:
        """End the TLS that begins with `received`, and read the HTTP inside it as of `channel.tunnel`."""
        host = channel.tunnel[0] if channel.tunnel else ""

        def failed(refused: TlsRefused) -> None:
            listener.shaking_hands -= 1
            self._say(channel, refused)

        inner = _Secured(self._pipeline, listener, replace(channel, secure=True))
        listener.shaking_hands += 1
        try:
            tls = intercepting_server(
                inner,
                self._authority,
                host,
                on_failure=failed,
                on_silence=lambda refused: self._say(channel, refused),
                handshake_seconds=self._pipeline.limits.handshake_seconds,
            )
        except TlsRefused as refused:
            failed(refused)
            transport.write(alert.refusal(refused.reason))
            transport.close()
            return
        transport.set_protocol(tls)
        tls.connection_made(transport)
        tls.data_received(received)

    def _say(self, channel: Channel, refused: TlsRefused) -> None:
        self._pipeline.recorder.refused_message("client", channel.peer, refused.reason, refused.detail)


class _Secured(asyncio.Protocol):
    """Becomes the connection once the handshake is over."""

    def __init__(self, pipeline: Pipeline, listener: Listener, channel: Channel) -> None:
        self._pipeline = pipeline
        self._listener = listener
        self._channel = channel

    def connection_made(self, transport: Any) -> None:
        self._listener.shaking_hands -= 1
        connection = Downstream(self._pipeline, self._listener, self._channel)
        transport.set_protocol(connection)
        connection.connection_made(transport)
