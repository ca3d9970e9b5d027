"""`python -m cli.demo.notes`: an MCP server that keeps notes, with nothing of Outrider in it.

It is what the SDK gives: both eras of MCP on one URL, over plain HTTP or HTTPS, with no idea of who calls.
"""

from __future__ import annotations

import argparse
import json
import socket

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
        app,
        log_level="warning",
        timeout_graceful_shutdown=1,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
