"""Where the Workload API is: the URI of its socket (SPIFFE Workload Endpoint, section 4)."""

from __future__ import annotations

import re

from mesh.policy.errors import shown

ENDPOINT_VARIABLE = "SPIFFE_ENDPOINT_SOCKET"
"""Where SPIFFE says a workload finds its Workload API."""

_EXAMPLE = "unix:///run/spire/agent.sock"
_UNIX = re.compile(r"unix:(?:/|///+)[^/?#\x00][^?#\x00]*")


def endpoint_fault(uri: str) -> str | None:
    """Why `uri` cannot be connected to, and what to write instead; None when it can.

    The specification also knows `tcp://IP:port`; py-spiffe, which speaks for us, only opens Unix sockets.
    """
    if _UNIX.fullmatch(uri):
        return None
    if uri.startswith("tcp:"):
        return (
            f"{shown(uri)}: this version reaches the Workload API through a Unix socket only, not through tcp;"
            f" write unix:// and the socket's absolute path, such as {_EXAMPLE}"
        )
    if uri.startswith("/"):
        return f"{shown(uri)} is a path, and a URI is needed; write {shown(f'unix://{uri}')}"
    if uri.startswith("unix:"):
        return f"{shown(uri)} has no absolute path, or more than a path; write it like {_EXAMPLE}"
    return f"{shown(uri)} is no SPIFFE endpoint; write unix:// and an absolute path, such as {_EXAMPLE}"
