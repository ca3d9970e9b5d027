"""Tools that say words backwards, on the SDK's 2.x line, at the addresses that are given.

Question and answer have nothing in common that a capture could take for the other. It serves as a program does
that was never told of a proxy: on every address of its pod, for whatever Host.
"""

from __future__ import annotations

import argparse

from mcp.server import MCPServer

from e2e.servers.serve import Executed, serve


def build(executed: Executed) -> MCPServer:
    server = MCPServer("backwards")

    def say(tool: str, words: str) -> str:
        executed(f"{tool} {words}")
        return words[::-1]

    @server.tool(description="Granted by both sides")
    def granted(words: str) -> str:
        return say("granted", words)

    @server.tool(description="Granted by the caller's policy only")
    def forbidden_here(words: str) -> str:
        return say("forbidden_here", words)

    @server.tool(description="Granted by this side's policy only")
    def forbidden_there(words: str) -> str:
        return say("forbidden_there", words)

    @server.tool(description="Granted to nobody")
    def forbidden(words: str) -> str:
        return say("forbidden", words)

    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executed", help="file that gets the name and the words of each tool that ran")
    parser.add_argument("--host", action="append", default=[])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", help="file with key and chain, to serve HTTPS")
    chosen = parser.parse_args()
    app = build(Executed(chosen.executed)).streamable_http_app(host="0.0.0.0")
    serve(app, *((host, chosen.port) for host in chosen.host), certificate=chosen.certificate)


if __name__ == "__main__":
    main()
