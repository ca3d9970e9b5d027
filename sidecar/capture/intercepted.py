"""TLS of the application that is ended here, so that what is inside can be decided.

The application believes that it talks to the host; the sidecar shows it a certificate of the authority that only
this pod trusts, and makes the connection to the real host itself, with that host's own certificate verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mesh.policy.documents import Backend
from mesh.protocol.tls import alert
from sidecar.identity.refused import TlsRefused
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.bundle import write_trust
from sidecar.interception.declared import NOTHING, DeclaredHosts, TrustNotWritten
from sidecar.interception.server import intercepting_server
from sidecar.proxy.channel import Channel
from sidecar.proxy.downstream import Downstream

if TYPE_CHECKING:
    from sidecar.proxy.listener import Listener
    from sidecar.proxy.pipeline import Pipeline


class Begun(NamedTuple):
    """What can be intercepted from now on: declared hosts, and how many public roots the application keeps."""

    hosts: tuple[str, ...]
    public_roots: int


def begin_interception(
    pipeline: Pipeline,
    directory: Path,
    additional: tuple[Path | None, str],
    environment: Mapping[str, str],
) -> Begun:
    """Make the authority and the files by which the application trusts it.

    `additional`: what it trusts besides the public roots, a PEM file and PEM text. The files are written in any
    case: the application's variables name them, and who finds none trusts nobody. Raises TrustNotWritten.
    """
    hosts = DeclaredHosts.of(pipeline.policy.backends)
    authority = InterceptionAuthority(hosts or NOTHING)
    try:
        written = write_trust(
            directory,
            authority.certificate_pem,
            additional=additional[0],
            more=additional[1],
            environment=environment,
        )
    except OSError as error:
        raise TrustNotWritten(f"{directory}: {error.strerror or error}") from error
    pipeline.interception = Interception(pipeline, authority)
    named = sorted((*hosts.exact, *(f"*.{suffix}" for suffix in hosts.suffixes)))
    return Begun(tuple(named), written.public_roots)


class Interception:
    """Takes over connections whose TLS is to be ended here."""

    def __init__(self, pipeline: Pipeline, authority: InterceptionAuthority) -> None:
        self._pipeline = pipeline
        self._authority = authority

    def covers(self, host: str) -> bool:
        """Whether the authority may vouch for this host."""
        return self._authority.hosts.cover(host)

    def beyond(self, backends: Iterable[Backend]) -> tuple[str, ...]:
        """The hosts of these for which the application would have to trust another authority: that takes a
        restart of the pod."""
        return DeclaredHosts.of(backends).beyond(self._authority.hosts)

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
