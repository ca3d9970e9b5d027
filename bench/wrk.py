"""The same load once more from wrk, so that nobody needs to trust a generator of ours."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench import cache
from bench.load import LoadFailed

_REQUESTS = re.compile(r"^\s*(\d+) requests in ", re.MULTILINE)
_ERRORS = re.compile(r"^\s*(Socket errors: .*|Non-2xx or 3xx responses: .*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class WrkOutcome:
    """How many answers wrk counted."""

    requests: int


def script(request: bytes) -> str:
    """A Lua script that sends exactly these bytes as each request, whatever form its target has."""
    escaped = "".join(f"\\{byte:03d}" for byte in request)
    return f'local message = "{escaped}"\nfunction request() return message end\n'


def run(port: int, connections: int, seconds: float, request: Path, *, core: int) -> WrkOutcome:
    """Load a plain loopback port; raises Missing without wrk, LoadFailed when wrk counted errors."""
    lua = request.with_suffix(".lua")
    lua.write_text(script(request.read_bytes()), encoding="ascii")
    command = [cache.binary("wrk"), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(lua)]
    done = subprocess.run(
        ["taskset", "-c", str(core), *command, f"http://127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    return parse(done.stdout)


def parse(output: str) -> WrkOutcome:
    """Read wrk's report; raises LoadFailed when it has errors or is none."""
    found, errors = _REQUESTS.search(output), _ERRORS.search(output)
    if errors is not None:
        raise LoadFailed(f"wrk: {errors[1]}")
    if found is None or int(found[1]) == 0:
        raise LoadFailed(f"wrk made no request: {output.strip()[-300:]}")
    return WrkOutcome(int(found[1]))
