"""What the kernel brought here instead of to a port of the application (port 15006).

    TLS of the mesh    told apart by ALPN: ended here, and the peer's identity decides
    the application's  passes as it is where the port is permissive and a rule grants it to unauthenticated callers
    plain HTTP         the same, and is decided request by request
    the rest           like TLS of the application's

In strict mode only the first of them exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mesh.policy.decision import INBOUND, HttpRequest
from mesh.policy.principal import UNAUTHENTICATED
from mesh.protocol.opening import Opening
from mesh.protocol.tls import alert
from mesh.protocol.tls.client_hello import ClientHello
from mesh.reasons import Reason
from sidecar.addresses import is_loopback
from sidecar.capture.inbound import Application
from sidecar.capture.mesh import accept_mesh
from sidecar.capture.peek import Peek
from sidecar.identity.contexts import MESH_ALPN
from sidecar.identity.holder import IdentityHolder
from sidecar.proxy import replies
from sidecar.proxy.channel import Channel
from sidecar.proxy.connect import without_asking
from sidecar.proxy.downstream import Downstream
from sidecar.proxy.plan import Tunnel

if TYPE_CHECKING:
    from sidecar.addresses import Address
    from sidecar.proxy.listener import Listener
    from sidecar.proxy.pipeline import Pipeline

NOBODY = UNAUTHENTICATED.id
_MESH_ALPN = MESH_ALPN.encode()


class InboundRedirect:
    """Makes the protocols of redirected connections. `permissive` tells of which of the application's ports take
    other traffic than the mesh's; `original` as in `OutboundRedirect`."""

    def __init__(
        self,
        pipeline: Pipeline,
        identity: IdentityHolder,
        application: Application,
        permissive: Callable[[int], bool],
        original: Callable[[Any], Address | None],
    ) -> None:
        self.pipeline = pipeline
        self.identity = identity
        self.application = application
        self.permissive = permissive
        self.original = original

    def accept(self, listener: Listener) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Redirected(self, listener)


class _Redirected(Peek):
    """One redirected connection, until it is known what it is."""

    __slots__ = ("_arrived", "_redirect")

    def __init__(self, redirect: InboundRedirect, listener: Listener) -> None:
        super().__init__(redirect.pipeline, listener, NOBODY, self._chosen)
        self._redirect = redirect
        self._arrived = ("", 0)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        try:
            destination = self._redirect.original(transport.get_extra_info("socket"))
        except OSError as gone:
            self.refuse(Reason.NOT_REDIRECTED, f"its destination cannot be told: {gone.strerror}")
            return
        if destination is None:
            self.refuse(Reason.NOT_REDIRECTED, "a connection to the capture port itself")
            return
        if self._redirect.permissive(destination[1]):
            self.may_wait()
        self._arrived = _own_address(destination[0], transport.get_extra_info("sockname")), destination[1]

    @property
    def _port(self) -> int:
        return self._arrived[1]

    def _chosen(self, peek: Peek, found: Opening, hello: ClientHello | None) -> None:
        redirect = self._redirect
        if hello is not None and _MESH_ALPN in hello.alpn:
            self.become(lambda: accept_mesh(self._pipeline, redirect.identity, self._listener, self._arrived))
        elif found is Opening.HTTP:
            self._plain()
        else:
            self._opaque(tls=hello is not None)

    def _plain(self) -> None:
        """HTTP without TLS: decided like any other, for a caller that is nobody."""
        decision = self._pipeline.policy.meet(UNAUTHENTICATED)
        if not self._redirect.permissive(self._port):
            reason, detail = Reason.PLAIN_TEXT_REFUSED, f"port {self._port} is strict"
        elif not decision.allowed:
            reason, detail = decision.reason, decision.rule
        else:
            self.become(lambda: Downstream(self._pipeline, self._listener, self._channel()))
            return
        self.refuse(reason, detail, replies.turned_away(reason, detail))

    def _channel(self) -> Channel:
        return Channel("inbound", UNAUTHENTICATED, NOBODY, arrived=self._arrived)

    def _opaque(self, *, tls: bool) -> None:
        """What cannot be inspected needs a grant of everything that is no MCP.

        Beside declared MCP paths it has to be TLS: of other bytes nobody knows what a server makes of them.
        """
        refused = Reason.FOREIGN_TLS_REFUSED if tls else Reason.PLAIN_TEXT_REFUSED
        if not tls and self._pipeline.policy.entrances.declared:
            self.refuse(refused, f"port {self._port}: neither HTTP nor TLS, beside declared MCP paths")
            return
        if not self._redirect.permissive(self._port):
            self.refuse(refused, f"port {self._port} is strict", alert.refusal(refused) if tls else b"")
            return
        pipeline = self._pipeline
        decision = without_asking(
            pipeline.policy.decide(UNAUTHENTICATED, INBOUND, "connect", http=HttpRequest("CONNECT", "*"))
        )
        where = f"port {self._port}"
        pipeline.recorder.decision("inbound", UNAUTHENTICATED, "application", "connect", where, decision)
        if not decision.allowed:
            self.refuse(decision.reason, decision.rule, alert.refusal(decision.reason) if tls else b"")
            return
        destination = self._redirect.application.meant(self._arrived)
        tunnel = Tunnel(destination.host, self._port, destination, "application", inspected=False)
        received = self.release()
        connection = Downstream(pipeline, self._listener, self._channel())
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)
        connection.open_tunnel(tunnel, received)


def _own_address(dialled: str, arrived: tuple[Any, ...]) -> str:
    """The pod's address that a connection came to.

    Whoever shares a link with the pod can send it packets that are for somebody else, and must not have the
    sidecar carry them there. So what counts is the address on which the kernel took the connection in; where that
    is loopback, it is the sidecar's own, to an address that the rules know as the pod's.
    """
    return dialled if is_loopback(arrived[0]) else str(arrived[0]).partition("%")[0]
