"""How each Python server of this folder listens: on a free loopback port that it announces as one JSON line.

The port is bound before the line is written, so whoever reads the line can connect at once: no polling, no
sleeping, no race for a port that somebody else takes in between.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any


def serve(app: Any, *addresses: tuple[str, int], certificate: str | None = None) -> None:
    """Serve an ASGI app until SIGTERM, on `addresses` where given; the port of the first is announced.

    `certificate`: a file with a key and a chain, for HTTPS.
    """
    import uvicorn

    listeners = [_listen(*address) for address in addresses or [("127.0.0.1", 0)]]
    announce(listeners[0].getsockname()[1])
    # h11 trims the spaces around a field value, as RFC 9112 asks; the other parser leaves trailing ones.
    config = uvicorn.Config(
        app, http="h11", log_level="error", timeout_graceful_shutdown=1, ssl_certfile=certificate
    )
    uvicorn.Server(config).run(sockets=listeners)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ":" in host:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener


def announce(port: int) -> None:
    """The ready line that e2e.processes waits for."""
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()


class Executed:
    """Writes each tool that really ran to a file: what a test holds against what it allowed."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None

    def __call__(self, tool: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(tool + "\n")
