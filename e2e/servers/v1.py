"""Three tools on the SDK's 1.x line (FastMCP), the handshake era only, on stateful sessions as it serves them.

Runs in a virtual environment of its own: `mcp` 1.x and 2.x cannot share one.
"""

from __future__ import annotations

import argparse

from mcp.server.fastmcp import FastMCP

from e2e.servers.serve import Executed, serve


def build(executed: Executed) -> FastMCP:
    server = FastMCP("notes-v1")

    @server.tool(description="Read a note")
    def read_note(id: str = "1") -> str:
        executed("read_note")
        return f"note {id}"

    @server.tool(description="Write a note")
    def write_note(id: str = "1", text: str = "") -> str:
        executed("write_note")
        return f"wrote {id}"

    @server.tool(description="Delete a note")
    def delete_note(id: str = "1") -> str:
        executed("delete_note")
        return f"deleted {id}"

    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executed", help="file that gets the name of each tool that ran")
    serve(build(Executed(parser.parse_args().executed)).streamable_http_app())


if __name__ == "__main__":
    main()
