"""The `endpoint` event of HTTP+SSE: where a client shall POST its messages (MCP 2024-11-05)."""

from __future__ import annotations

from urllib.parse import urljoin

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import absolute_form, plain_path
from sidecar.proxy.plan import Plan


def announced_path(data: str, plan: Plan) -> str | None:
    """The path of an endpoint on the same origin as the stream; None for any other.

    The specification wants the same origin; an endpoint elsewhere is a new destination and is decided as one.
    """
    host, port = plan.routed.destination[:2]
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        target = absolute_form(urljoin(base + plan.routed.path.decode("latin-1"), data).encode())
        path = plain_path(target.path)
    except (HttpRefused, ValueError):
        return None
    return path if (target.host, target.port) == (host, port) else None
