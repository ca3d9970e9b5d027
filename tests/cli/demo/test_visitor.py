"""The client that knows nothing of Outrider."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import MCPError

from cli.demo.cast import ERAS
from cli.demo.certificates import make_public, public_certificate, public_key, public_root
from cli.demo.processes import Parts
from cli.demo.visitor import CALLS_TOLD, environment, first_failure, look, visit, work
from sidecar.tasks import spawn


def test_variables_are_there_for_one_visit_only() -> None:
    with environment({"DEMO_VARIABLE": "1"}):
        assert os.environ["DEMO_VARIABLE"] == "1"
    assert "DEMO_VARIABLE" not in os.environ


def test_the_failure_inside_of_groups_is_found() -> None:
    failure = MCPError(-1, "why")
    assert first_failure(ExceptionGroup("a", [ExceptionGroup("b", [failure])])) is failure


def nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


async def test_a_server_that_is_not_there_is_told_and_not_raised(stdin: int) -> None:
    for era in ERAS:
        told = await visit(f"http://{nowhere()}/mcp", era, [])
        assert "ConnectError" in told["failed"]
        assert told["outcomes"] == []
        told = await work(f"http://{nowhere()}/mcp", era, ("read_note", {}), 1)
        assert "ConnectError" in told["failed"]
        assert (told["calls"], told["answers"]) == (0, {})
    told = await look(f"https://{nowhere()}/mcp")
    assert "ConnectError" in told["failed"]
    assert told["certificate"] is None


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A pipe as standard input; the end to write to."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as end:
        monkeypatch.setattr(sys, "stdin", end)
        yield writing
    os.close(writing)


async def test_a_session_works_until_it_is_told_that_it_is_enough(
    tmp_path: Path, stdin: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Parts(tmp_path) as parts:
        part = await parts.start("notes", "cli.demo.notes")
        port = (await part.find(lambda record: record.get("event") == "ready"))["port"]
        working = spawn(
            work(f"http://127.0.0.1:{port}/mcp", "legacy", ("read_note", {"name": "welcome"}), 7), name="work"
        )
        said = ""
        while "working" not in said:
            assert not working.done()
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
        os.write(stdin, b"{}\n")
        told = await working
    assert json.loads(said.splitlines()[0]) == {"event": "working", "number": 7, "calls": CALLS_TOLD}
    assert told["failed"] is None
    assert told["answers"] == {"Triage goes by severity.": told["calls"]}
    assert told["calls"] >= CALLS_TOLD


async def test_the_certificate_of_a_server_is_told_to_who_trusts_it(tmp_path: Path) -> None:
    make_public(tmp_path)
    certificate = str(public_certificate(tmp_path))
    options = ["--certificate", certificate, "--key", str(public_key(tmp_path))]
    async with Parts(tmp_path / "logs") as parts:
        part = await parts.start("notes", "cli.demo.notes", *options)
        port = (await part.find(lambda record: record.get("event") == "ready"))["port"]
        with environment({"SSL_CERT_FILE": str(public_root(tmp_path))}):
            told = await look(f"https://127.0.0.1:{port}/mcp")
        assert "CERTIFICATE_VERIFY_FAILED" in (await look(f"https://127.0.0.1:{port}/mcp"))["failed"]
    assert told == {"certificate": public_certificate(tmp_path).read_text(encoding="ascii"), "failed": None}
