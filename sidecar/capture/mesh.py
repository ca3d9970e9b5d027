"""Connections of peers: mutual TLS of the mesh, and who is let in.

Whether a peer may connect is asked once, when its handshake is over and before it is read. One that no rule names
is told so in HTTP inside the connection, because TLS has no alert that says why, and a bare end looks like a fault
of the network; nothing that it sends is looked at.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mesh.policy.decision import Decision
from mesh.policy.principal import Principal
from mesh.reasons import Reason
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.refused import TlsRefused
from sidecar.proxy import replies
from sidecar.proxy.channel import Channel
from sidecar.proxy.dial import expiry
from sidecar.proxy.downstream import Downstream
from sidecar.proxy.tls import mesh_server

if TYPE_CHECKING:
    from sidecar.addresses import Address
    from sidecar.proxy.listener import Listener
    from sidecar.proxy.pipeline import Pipeline

LINGER_SECONDS = 1.0
"""How long a peer that was turned away may take to read why."""


def accept_mesh(
    pipeline: Pipeline, identity: IdentityHolder, listener: Listener, arrived: Address | None = None
) -> asyncio.Protocol:
    """The protocol of a connection that must be mutual TLS. `arrived`: as in Channel."""
    recorder = pipeline.recorder

    def failed(refused: TlsRefused) -> None:
        listener.shaking_hands -= 1
        recorder.handshake("inbound", "unknown", refused.reason, refused.detail)

    if listener.full:
        recorder.handshake("inbound", "unknown", Reason.TOO_MANY_CONNECTIONS)
        return Closed()
    listener.shaking_hands += 1
    try:
        return mesh_server(
            _Accepted(pipeline, identity, listener, arrived),
            identity,
            on_failure=failed,
            handshake_seconds=pipeline.limits.handshake_seconds,
        )
    except TlsRefused as refused:
        failed(refused)
        return Closed()


class _Accepted(asyncio.Protocol):
    """Becomes the connection once the peer is known."""

    def __init__(
        self, pipeline: Pipeline, identity: IdentityHolder, listener: Listener, arrived: Address | None
    ) -> None:
        self._pipeline = pipeline
        self._identity = identity
        self._listener = listener
        self._arrived = arrived

    def connection_made(self, transport: Any) -> None:
        peer = str(transport.get_extra_info("peer_id"))
        pipeline, principal = self._pipeline, Principal(peer)
        decision = pipeline.policy.meet(principal)
        reason = Reason.ALLOWED if decision.allowed else decision.reason
        rule, serial = None if decision.allowed else decision.rule, transport.get_extra_info("peer_serial")
        pipeline.recorder.handshake("inbound", peer, reason, rule, serial)
        protocol: asyncio.Protocol
        if decision.allowed:
            self._listener.shaking_hands -= 1
            protocol = Downstream(
                pipeline, self._listener, Channel("inbound", principal, peer, arrived=self._arrived)
            )
            protocol.expires = expiry(transport, pipeline.clock(), self._identity.clock())
        else:
            protocol = _TurnedAway(decision, self._listener)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class _TurnedAway(asyncio.Protocol):
    """Tells a genuine peer that no rule lets it in, and hears nothing of what it says.

    It counts as one that is still shaking hands, so that strangers are bounded like everybody else.
    """

    def __init__(self, decision: Decision, listener: Listener) -> None:
        self._decision = decision
        self._listener = listener
        self._told = False
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """It has asked for something: only now is there somebody who waits for an answer."""
        if not self._told:
            self._told = True
            self._transport.write(replies.turned_away(self._decision.reason, self._decision.rule))
            self._transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.shaking_hands -= 1
        if self._timer is not None:
            self._timer.cancel()


class Closed(asyncio.Protocol):
    """Refuses a connection at once: there is no SVID to answer it with, or no room."""

    def connection_made(self, transport: Any) -> None:
        transport.abort()
