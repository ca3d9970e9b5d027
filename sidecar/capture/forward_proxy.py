"""Where an agent's request goes: what an HTTP proxy is told, or what a captured request says of itself.

Absolute form (`POST http://host/path`) names the destination in the request line. Inside a CONNECT whose HTTP is
inspected, requests are in origin form and the destination is the tunnel's; Node's fetch tunnels http:// URLs so.
A captured request names it in Host. The name counts and not the address that was dialled: a policy is written for
names, and what it was decided for is what is dialled then.
"""

from __future__ import annotations

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.target import DEFAULT_PORTS, Target, absolute_form, host_header
from mesh.reasons import Reason


def where_to(head: RequestHead, tunnel: tuple[str, int] | None, *, secure: bool = False) -> Target:
    """The destination of a request. `secure`: it came in TLS inside the tunnel. Raises HttpRefused."""
    if tunnel is None:
        if head.target[:1] == b"/" or head.target == b"*":
            raise HttpRefused(Reason.NOT_A_PROXY_REQUEST, f"{head.method} in origin form")
        return absolute_form(head.target)
    if head.target[:1] != b"/":
        raise HttpRefused(Reason.HTTP_BAD_TARGET, "a request inside a tunnel must be in origin form")
    host, port = host_header(head.fields.get(b"host", b""))
    scheme = "https" if secure else "http"
    if (host, port or DEFAULT_PORTS[scheme]) != tunnel:
        raise HttpRefused(Reason.HTTP_BAD_HOST, "Host is not the tunnel's destination")
    return Target(scheme, tunnel[0], tunnel[1], head.target)


def captured_to(head: RequestHead, port: int) -> Target:
    """The destination of a captured request, `port` being the one that was dialled. Raises HttpRefused.

    Absolute form is what an application sends that was told of another proxy, or of a server; either way the
    port that it dialled has to be the one that it names.
    """
    if head.method == "CONNECT":
        raise HttpRefused(
            Reason.HTTP_BAD_TARGET, "CONNECT on a captured connection: use the sidecar as proxy"
        )
    value = head.fields.get(b"host")
    if head.target[:1] != b"/":
        target = absolute_form(head.target)
    else:
        if value is None:
            raise HttpRefused(Reason.HTTP_BAD_HOST, "a captured request must say its destination in Host")
        host, named = host_header(value)
        target = Target("http", host, port if named is None else named, head.target)
    if target.port != port or target.scheme != "http":
        raise HttpRefused(
            Reason.HTTP_BAD_HOST, f"the request is for port {target.port}, but port {port} was dialled"
        )
    return target
