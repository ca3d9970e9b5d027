"""How the demo's MCP servers listen: on a loopback port, over HTTP or HTTPS, until SIGTERM."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

Wrap = Callable[[Any], Any]
"""An ASGI application -> one around it."""


def told(event: str, **fields: Any) -> None:
    """Write one line, at once."""
    print(json.dumps({"event": event, **fields}), flush=True)


def serve(server: MCPServer, description: str | None, wrap: Wrap = lambda app: app) -> None:
    """Listen on the port that the command line asks for, say so in one line, serve until SIGTERM."""
    options = _options(description)
    listener = socket.create_server(("127.0.0.1", options.port))
    port = listener.getsockname()[1]
    # The SDK refuses Host headers that it does not know (DNS rebinding); a Service's name is one it should.
    hosts = [f"127.0.0.1:{port}", *options.host_header]
    app = server.streamable_http_app(transport_security=TransportSecuritySettings(allowed_hosts=hosts))
    told("ready", port=port)
    config = uvicorn.Config(
        wrap(app),
        log_level="warning",
        timeout_graceful_shutdown=1,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )
    uvicorn.Server(config).run([listener])


def _options(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host-header", action="append", default=[], help="a Host that clients may send")
    parser.add_argument("--certificate", help="serve HTTPS with this certificate (PEM)")
    parser.add_argument("--key", help="its key (PEM)")
    return parser.parse_args()
