"""docs/control-plane.md, "On one machine": the block is run as it stands, on ports of this test's choice."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "control-plane.md").read_text(encoding="utf-8")
SECONDS = 90


def script(plane: int, forward: int) -> str:
    found = re.search(r"<!-- file: try-it.sh -->\n```bash\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    text = found[1]
    assert "127.0.0.1:8444" in text
    assert "127.0.0.1:15002" in text
    return text.replace("127.0.0.1:8444", f"127.0.0.1:{plane}").replace(":15002", f":{forward}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def read_until(stream: asyncio.StreamReader, wanted: set[str]) -> dict[str, dict]:
    """The first line of each event, until all that are wanted were seen."""
    seen: dict[str, dict] = {}
    while not wanted <= seen.keys():
        raw = await stream.readline()
        assert raw, f"it ended: {seen}"
        line = json.loads(raw)
        seen.setdefault(line["event"], line)
    return seen


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
async def test_what_the_page_says_to_run_runs(tmp_path: Path) -> None:
    plane, forward = free_port(), free_port()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    own = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    # A link to a virtual environment's interpreter is not in it, so its packages have to be named.
    paths = os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])
    own |= {"PYTHONPATH": paths, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{own['PATH']}"}
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script(plane, forward),
        cwd=tmp_path,
        env=own,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )
    assert running.stdout is not None
    assert running.stderr is not None
    try:
        async with asyncio.timeout(SECONDS):
            first = json.loads(await running.stdout.readline())
            assert first == {
                "event": "ready",
                "trustDomain": "a.example",
                "url": f"https://127.0.0.1:{plane}",
            }
            seen = await read_until(running.stderr, {"identity", "configuration", "ready"})
            assert seen["identity"]["spiffe_id"] == "spiffe://a.example/ns/agents/sa/triage"
            assert seen["configuration"]["policies"] == ["AgentPolicy/triage"]
            assert seen["ready"]["forward"] == f"127.0.0.1:{forward}"
            policies = tmp_path / "documents" / "policies.yaml"
            policies.write_text(policies.read_text().replace("get_*", "list_*"))
            await read_until(running.stderr, {"configuration"})
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        await asyncio.wait_for(running.communicate(), SECONDS)


def test_the_first_line_on_the_page_is_that_of_its_ports() -> None:
    assert '{"event": "ready", "trustDomain": "a.example", "url": "https://127.0.0.1:8444"}' in PAGE
