"""Start a process, wait for the line that says it is ready, and end it by its own id.

Readiness is something that the process says, never a pause that we hope is long enough: `spawn` reads lines until
one yields a value. Whatever a process wrote to stderr is kept and shown when it fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0
END_SECONDS = 10.0
Ready = TypeVar("Ready")
# A developer's own proxy variables must not reach the parts: each test says what goes through a proxy. Nor must
# the variables that steer our tools: a sidecar refuses those of its prefix that it does not know.
OURS = "OUTRIDER_"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class DidNotStart(Exception):
    """A part exited or stayed silent instead of saying that it is ready; carries the end of its output."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment without proxies and our own variables, with the repository importable."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key.lower() not in PROXY_VARIABLES and not key.startswith(OURS)
    }
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


@contextlib.contextmanager
def spawn(
    command: Sequence[str | Path],
    ready: Callable[[str], Ready | None],
    *,
    on: str = "stdout",
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    log: Path | None = None,
) -> Iterator[Ready]:
    """Run `command`; yields what `ready` made of the first line on `on` ("stdout" or "stderr") that it accepts.

    What follows on that stream is appended to `log`, when one is given.
    Raises DidNotStart.
    """
    with tempfile.TemporaryFile("w+b") as other:
        streams = {"stdout": other, "stderr": other, on: subprocess.PIPE}
        process = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, env=dict(env or environment()), **streams
        )
        pipe = process.stdout if on == "stdout" else process.stderr
        assert pipe is not None
        try:
            value, rest = _await_ready(process, pipe.fileno(), ready, other)
            with _drain(pipe.fileno(), rest, log):
                try:
                    yield value
                finally:
                    end(process)  # its pipe ends with it, and with that the drain
        finally:
            end(process)
            pipe.close()


def _await_ready(
    process: subprocess.Popen[bytes], descriptor: int, ready: Callable[[str], Ready | None], other: Any
) -> tuple[Ready, bytes]:
    deadline = time.monotonic() + START_SECONDS
    seen = bytearray()
    start = 0
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            data = os.read(descriptor, 65536)
            if not data:
                break
            seen += data
            while (end_of_line := seen.find(b"\n", start)) >= 0:
                value = ready(seen[start:end_of_line].decode("utf-8", "replace"))
                start = end_of_line + 1
                if value is not None:
                    return value, bytes(seen)
    end(process)
    other.seek(0)
    output = (bytes(seen) + other.read()).decode("utf-8", "replace")
    raise DidNotStart(f"{process.args!r} exited {process.returncode}:\n{output[-2000:]}")


@contextlib.contextmanager
def _drain(descriptor: int, first: bytes, log: Path | None) -> Iterator[None]:
    """Keeps reading the stream, so that the process never blocks on a full pipe."""
    sink = log.open("ab") if log else open(os.devnull, "wb")  # noqa: SIM115 - closed by the thread

    def run() -> None:
        with sink:
            sink.write(first)
            sink.flush()
            while data := os.read(descriptor, 65536):
                sink.write(data)
                sink.flush()

    thread = threading.Thread(target=run, name="drain", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(END_SECONDS)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL when that is not heeded in time. Only ever this one process."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def announced_port(line: str) -> int | None:
    """The `ready` of every server of ours: a JSON line `{"port": N}`."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return None
    return value.get("port") if isinstance(value, dict) else None
