"""Where a peer's request goes: to the application beside this sidecar.

A pod may listen on several ports; the port of the Host header chooses among them, and the first is the default,
because a Service may map another port to the pod's.

A connection that the kernel brought here says itself which port it was meant for. Ports of which the
configuration knows nothing are dialled at the pod's own address: what listens on loopback only is for nobody
outside the pod, with a sidecar no more than without.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.target import absolute_form, host_header
from mesh.reasons import Reason
from sidecar.addresses import Address, is_loopback, read_host
from sidecar.proxy.pool import Destination


@dataclass(frozen=True, slots=True)
class Application:
    """The application's address in the pod. `redirected`: the kernel brings what comes for the pod here."""

    host: str
    ports: tuple[int, ...]
    redirected: bool = False

    def reached(self, port: int) -> Destination:
        """How one of its ports is reached."""
        return self._destination(self.host, port)

    def meant(self, arrived: Address) -> Destination:
        """How what a redirected connection was meant for is reached; `arrived` is an own address of the pod."""
        host, port = arrived
        return self._destination(self.host if port in self.ports else host, port)

    def _destination(self, host: str, port: int) -> Destination:
        """What is sent to an own address comes back to us, unless it comes from loopback."""
        address = read_host(host)
        if not self.redirected or isinstance(address, str) or is_loopback(host):
            return Destination(host, port)
        return Destination(host, port, source="127.0.0.1" if address.version == 4 else "::1")


def where_to(
    head: RequestHead, application: Application, arrived: Address | None = None
) -> tuple[Destination, bytes]:
    """Destination and origin-form target for the application. Raises HttpRefused.

    `arrived`: where a redirected connection arrived; then nothing that the peer says counts.
    """
    target = head.target
    if target[:1] not in (b"/", b"*"):
        target = absolute_form(target).path
    if arrived is not None:
        return application.meant(arrived), target
    if not application.ports:
        raise HttpRefused(Reason.UPSTREAM_UNREACHABLE, "no application port is configured", 503)
    value = head.fields.get(b"host")
    port = host_header(value)[1] if value else None
    return application.reached(port if port in application.ports else application.ports[0]), target
