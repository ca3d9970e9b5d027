"""Three tools on the SDK's 2.x line: both eras on one URL, as it serves them by default.

The same tools as v1.py, so that a probe finds the same names on every stack.
"""

from __future__ import annotations

import argparse

from mcp.server import MCPServer

from e2e.servers.serve import Executed, serve


def build(executed: Executed) -> MCPServer:
    server = MCPServer("notes-v2")

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
