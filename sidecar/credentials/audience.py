"""Whether a destination is one that a token was made for."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from mesh.policy.documents import Backend
from mesh.policy.hosts import normal_host
from mesh.protocol.http1.target import DEFAULT_PORTS
from sidecar.proxy.plan import Routed

# Where readers of URLs differ on what is the host.
_TWO_READINGS = re.compile(r"[\\@\x00-\x20\x7f]")


def is_for(audience: tuple[str, ...], routed: Routed) -> bool:
    """Whether one of a token's audiences names this destination.

    By URL (the resource of RFC 8707) with its scheme's port where it has none, by host, by `host:port`, or by the
    Backend's name or SPIFFE ID. Paths do not count: servers of one host and port share what reaches it.
    """
    return any(_names(one, routed) for one in audience)


def _names(audience: str, routed: Routed) -> bool:
    host, port = routed.destination[:2]
    target = routed.target
    if isinstance(target, Backend) and audience in (target.name, target.tls.identity):
        return True
    if _TWO_READINGS.search(audience):
        return False
    if "://" not in audience:
        return normal_host(audience) == host or audience.lower() == f"{host}:{port}"
    try:
        url = urlsplit(audience)
        named = url.hostname, url.port or DEFAULT_PORTS[url.scheme]
    except (ValueError, KeyError):
        return False
    return named[0] is not None and (normal_host(named[0]), named[1]) == (host, port)
