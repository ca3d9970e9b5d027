"""`python -m cli.demo.notes`: an MCP server that keeps notes, with nothing of Outrider in it.

It is what the SDK gives: both eras of MCP on one URL, over plain HTTP or HTTPS. Of a bearer token that
comes with a call it tells what stands in it, and its hash; it asks nobody for one.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import socket
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings


def build() -> MCPServer:
    """A server with tools that read, write and delete, a prompt and a resource."""
    notes = {"welcome": "Triage goes by severity.", "incident-42": "The mail queue is full."}
    server = MCPServer("notes")

    @server.tool(description="The names of all notes")
    def list_notes() -> str:
        return ", ".join(sorted(notes))

    @server.tool(description="The text of one note")
    def read_note(name: str) -> str:
        return notes.get(name, "There is no such note.")

    @server.tool(description="Write a note, or replace it")
    def write_note(name: str, text: str) -> str:
        notes[name] = text
        return f"wrote {name}"

    @server.tool(description="Delete a note for good")
    def delete_note(name: str) -> str:
        notes.pop(name, None)
        return f"deleted {name}"

    @server.prompt(description="Ask for a summary of one note")
    def summarise_note(name: str) -> str:
        return f"Summarise the note {name} in one sentence."

    @server.resource("notes://keys", description="Where the keys of the office are")
    def keys() -> str:
        return "Under the plant."

    return server


def telling(app: Any) -> Any:
    """The same ASGI application, which tells of the token that each call of a tool brings."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        fields = {name: value.decode("latin-1") for name, value in scope.get("headers", ())}
        read = bearer(fields.get(b"authorization", ""))
        if read is not None and fields.get(b"mcp-method") == "tools/call":
            print(json.dumps({"event": "bearer", **read}), flush=True)
        await app(scope, receive, send)

    return call


def bearer(authorization: str) -> dict[str, Any] | None:
    """Claims and SHA-256 of a bearer token that is a JWT, read without a look at its signature."""
    scheme, _, token = authorization.partition(" ")
    parts = token.split(".")
    if scheme != "Bearer" or len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    except ValueError:
        return None
    return {"digest": hashlib.sha256(token.encode()).hexdigest(), "claims": claims}


def main() -> None:
    """Listen on the loopback port that is asked for, say so in one line, serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host-header", action="append", default=[], help="a Host that clients may send")
    parser.add_argument("--certificate", help="serve HTTPS with this certificate (PEM)")
    parser.add_argument("--key", help="its key (PEM)")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", options.port))
    port = listener.getsockname()[1]
    # The SDK refuses Host headers that it does not know (DNS rebinding); a Service's name is one it should.
    hosts = [f"127.0.0.1:{port}", *options.host_header]
    app = build().streamable_http_app(transport_security=TransportSecuritySettings(allowed_hosts=hosts))
    print(json.dumps({"event": "ready", "port": port}), flush=True)
    config = uvicorn.Config(
        telling(app),
        log_level="warning",
        timeout_graceful_shutdown=1,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
