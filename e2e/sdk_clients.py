"""Real SDK clients that list and call tools: one process per SDK, which is given every URL at once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e import environments
from e2e.processes import ROOT, environment
from e2e.subjects import node_environment

RUN_SECONDS = 90.0
PROGRAMS = Path(__file__).parent / "clients"
Found = dict[tuple[str, str], dict[str, Any]]
"""What each client got of each URL, by (client, name of the URL): {"tools", "calls", "error"}."""
Calls = Sequence[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Client:
    """One client stack: the process that runs it and how that process is asked for it."""

    name: str
    program: str
    options: tuple[tuple[str, Any], ...] = ()


CLIENTS = [
    Client("py-1.30", "sdk_v1.py"),
    Client("py-2.3-legacy", "sdk_v2.py", (("mode", "legacy"),)),
    Client("py-2.3-modern", "sdk_v2.py", (("mode", "auto"),)),
    Client("ts-1.32", "sdk_ts.mjs", (("sdk", 1),)),
    Client("ts-2.4-legacy", "sdk_ts.mjs", (("sdk", 2), ("mode", "legacy"))),
    Client("ts-2.4-modern", "sdk_ts.mjs", (("sdk", 2), ("mode", "auto"))),
]


def play(urls: Iterable[tuple[str, str]], calls: Calls = (), proxy: str | None = None) -> Found:
    """Every client lists the tools of every (name, url) and makes the calls on the same session.

    HTTP_PROXY is set when there is a proxy. Raises Unavailable.
    """
    named = list(urls)

    def lines(program: str) -> list[dict[str, Any]]:
        return [
            {"key": [client.name, name], "url": url, "calls": list(calls), **dict(client.options)}
            for client in CLIENTS
            for name, url in named
            if client.program == program
        ]

    programs = sorted({client.program for client in CLIENTS})
    # Clients mostly wait for answers that they cannot read, so the processes may as well wait together.
    with ThreadPoolExecutor() as together:
        answers = together.map(lambda program: _run(program, lines(program), proxy), programs)
        return {(answer["key"][0], answer["key"][1]): answer for found in answers for answer in found}


def _run(program: str, asked: list[dict[str, Any]], proxy: str | None) -> list[dict[str, Any]]:
    finished = subprocess.run(
        [str(part) for part in _command(program)],
        cwd=ROOT,
        env=_environment(program, proxy),
        input="".join(json.dumps(line) + "\n" for line in asked),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    return [json.loads(line) for line in finished.stdout.splitlines()]


def _command(program: str) -> list[str | Path]:
    if program.endswith(".mjs"):
        return [environments.node().binary, PROGRAMS / program]
    python = (
        environments.python_with_mcp_v1() if program == "sdk_v1.py" else environments.python_with_mcp_v2()
    )
    return [python, "-m", f"e2e.clients.{program.removesuffix('.py')}"]


def _environment(program: str, proxy: str | None) -> dict[str, str]:
    through = {"HTTP_PROXY": proxy, "NODE_USE_ENV_PROXY": "1"} if proxy else {}
    return node_environment(**through) if program.endswith(".mjs") else environment(**through)
