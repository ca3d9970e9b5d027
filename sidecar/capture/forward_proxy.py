"""Where an agent's request goes: what an HTTP proxy is told.

Absolute form (`POST http://host/path`) names the destination in the request line. Inside a CONNECT whose HTTP is
inspected, requests are in origin form and the destination is the tunnel's; Node's fetch tunnels http:// URLs so.
"""

from __future__ import annotations

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.target import Target, absolute_form, host_header
from mesh.reasons import Reason


def where_to(head: RequestHead, tunnel: tuple[str, int] | None) -> Target:
    """The destination of a request. Raises HttpRefused."""
    if tunnel is None:
        if head.target[:1] == b"/" or head.target == b"*":
            raise HttpRefused(Reason.NOT_A_PROXY_REQUEST, f"{head.method} in origin form")
        return absolute_form(head.target)
    if head.target[:1] != b"/":
        raise HttpRefused(Reason.HTTP_BAD_TARGET, "a request inside a tunnel must be in origin form")
    host, port = host_header(head.fields.get(b"host", b""))
    if (host, port or 80) != tunnel:
        raise HttpRefused(Reason.HTTP_BAD_HOST, "Host is not the tunnel's destination")
    return Target("http", tunnel[0], tunnel[1], head.target)
