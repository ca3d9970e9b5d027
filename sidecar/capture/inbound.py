"""Where a peer's request goes: to the application beside this sidecar.

A pod may listen on several ports; the port of the Host header chooses among them, and the first is the default,
because a Service may map another port to the pod's.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.target import absolute_form, host_header
from mesh.reasons import Reason


@dataclass(frozen=True, slots=True)
class Application:
    """The application's address in the pod."""

    host: str
    ports: tuple[int, ...]


def where_to(head: RequestHead, application: Application, connected: int | None = None) -> tuple[int, bytes]:
    """Port and origin-form target for the application. Raises HttpRefused.

    `connected`: the port that the peer connected to, where that is known; then nothing that it says counts.
    """
    target = head.target
    if target[:1] not in (b"/", b"*"):
        target = absolute_form(target).path
    if connected is not None:
        return connected, target
    if not application.ports:
        raise HttpRefused(Reason.UPSTREAM_UNREACHABLE, "no application port is configured", 503)
    value = head.fields.get(b"host")
    port = host_header(value)[1] if value else None
    return (port if port in application.ports else application.ports[0]), target
