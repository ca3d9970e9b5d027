"""The tools that the conformance tests of kube-agentic-networking call, with the answers that they expect."""

from __future__ import annotations

from mcp.server import MCPServer

from e2e.servers.serve import serve


def build() -> MCPServer:
    server = MCPServer("sums")

    @server.tool(name="get-sum", description="Add two numbers")
    def get_sum(a: int, b: int) -> str:
        return f"The sum of {a} and {b} is {a + b}."

    @server.tool(name="echo", description="Say it again")
    def echo(message: str = "") -> str:
        return f"Echo: {message}"

    @server.tool(name="get-env", description="Tell the environment")
    def get_env() -> str:
        return "{}"

    return server


if __name__ == "__main__":
    # Asked by the name of its Service, as in a cluster.
    serve(build().streamable_http_app(host="0.0.0.0"))
