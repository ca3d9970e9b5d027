"""`python -m cli.demo.notes`: an MCP server that keeps notes, with nothing of Outrider in it.

It is what the SDK gives: both eras of MCP on one URL, over plain HTTP or HTTPS. Of a bearer token that
comes with a call it tells what stands in it, and its hash; it asks nobody for one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from mcp.server import MCPServer

from cli.demo.serving import serve, told


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
            told("bearer", **read)
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
    """Serve until SIGTERM."""
    serve(build(), __doc__, telling)


if __name__ == "__main__":
    main()
