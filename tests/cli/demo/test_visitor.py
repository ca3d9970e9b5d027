"""The client that knows nothing of Outrider."""

from __future__ import annotations

import os
import socket

from mcp import MCPError

from cli.demo.cast import ERAS
from cli.demo.visitor import environment, first_failure, visit


def test_variables_are_there_for_one_visit_only() -> None:
    with environment({"DEMO_VARIABLE": "1"}):
        assert os.environ["DEMO_VARIABLE"] == "1"
    assert "DEMO_VARIABLE" not in os.environ


def test_the_failure_inside_of_groups_is_found() -> None:
    failure = MCPError(-1, "why")
    assert first_failure(ExceptionGroup("a", [ExceptionGroup("b", [failure])])) is failure


async def test_a_server_that_is_not_there_is_told_and_not_raised() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for era in ERAS:
        told = await visit(f"http://127.0.0.1:{port}/mcp", era, [])
        assert "ConnectError" in told["failed"]
        assert told["outcomes"] == []
