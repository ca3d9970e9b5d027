"""The real servers that probes are aimed at: how each starts, what it speaks, and what is forbidden on it.

Every server but one writes each tool that it executes to a file. The reference server cannot be made to, so there
the forbidden tool's own words in the answer are the proof that it ran.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e import environments
from e2e.processes import announced_port, environment, spawn

LEGACY = "2025-11-25"
MODERN = "2026-07-28"


@dataclass(frozen=True, slots=True)
class Kind:
    """One stack: a server and the protocol era in which it is spoken to."""

    name: str
    program: str
    revision: str
    allowed: str = "read_note"
    forbidden: str = "delete_note"
    arguments: str = '{"id":"1"}'
    allowed_arguments: str = '{"id":"1"}'
    allowed_words: str = "note 1"
    forbidden_words: str = "deleted 1"
    records: bool = True

    @property
    def modern(self) -> bool:
        return self.revision == MODERN


EVERYTHING = {
    "allowed": "echo",
    "forbidden": "get-sum",
    "arguments": '{"a":40,"b":2}',
    "allowed_arguments": '{"message":"hello"}',
    "allowed_words": "Echo: hello",
    "forbidden_words": "is 42",
    "records": False,
}
KINDS = [
    Kind("py-1.30", "v1", LEGACY),
    Kind("py-2.3-legacy", "v2", LEGACY),
    Kind("py-2.3-modern", "v2", MODERN),
    Kind("ts-1.32", "ts1", LEGACY),
    Kind("ts-2.4-legacy", "ts2", LEGACY),
    Kind("ts-2.4-modern", "ts2", MODERN),
    Kind("server-everything", "reference", LEGACY, **EVERYTHING),
]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    executed_file: Path
    path: str = field(default="/mcp")

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}{self.path}"

    def executed(self) -> list[str]:
        """The tools that have run so far, in order."""
        if not self.executed_file.exists():
            return []
        return self.executed_file.read_text(encoding="utf-8").splitlines()


@contextlib.contextmanager
def running(program: str, folder: Path) -> Iterator[Server]:
    """Start one of the programs named in KINDS. Raises Unavailable or DidNotStart."""
    executed = folder / f"{program}.executed"
    if program == "reference":
        with _reference() as port:
            yield Server(port, executed)
        return
    with spawn(_command(program, executed), announced_port, env=_environment(program)) as port:
        yield Server(port, executed)


def _command(program: str, executed: Path) -> list[str | Path]:
    here = Path(__file__).parent / "servers"
    if program.startswith("ts"):
        return [environments.node().binary, here / f"{program}.mjs", executed]
    python = environments.python_with_mcp_v1() if program == "v1" else environments.python_with_mcp_v2()
    return [python, "-m", f"e2e.servers.{program}", "--executed", executed]


def _environment(program: str) -> Mapping[str, str]:
    return node_environment() if program.startswith("ts") else environment()


def node_environment(**more: str) -> dict[str, str]:
    """The environment of our own Node scripts: where the packages are."""
    return environment(OUTRIDER_E2E_NODE=str(environments.node().root), **more)


@contextlib.contextmanager
def _reference() -> Iterator[int]:
    """The reference server takes its port from PORT and says on stderr when it listens."""
    parts = environments.node()
    entry = parts.package("@modelcontextprotocol/server-everything", "dist", "index.js")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = re.compile(rf"\b{port}\b")

    def ready(line: str) -> int | None:
        return port if said.search(line) else None

    command = [parts.binary, entry, "streamableHttp"]
    with spawn(command, ready, on="stderr", env=environment(PORT=str(port))) as bound:
        yield bound
