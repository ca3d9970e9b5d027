"""Processes that the bench starts: pinned to a core, logged to a file, ended by their own process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

POLL_SECONDS = 0.001
START_SECONDS = 15.0
STOP_SECONDS = 5.0


class ProcessFailed(Exception):
    """A process that the bench needs did not start or died: its configuration or the machine is at fault."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start: arguments, and variables to add to the environment."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Process:
    """One started process and its children. As a context manager it ends what it started."""

    def __init__(self, command: Command, *, core: int, log: Path) -> None:
        self.log = log
        self._name = " ".join(command.argv[:3])
        with log.open("wb") as sink:
            self._popen = subprocess.Popen(
                ["taskset", "-c", str(core), *command.argv],
                env={**_inherited(), **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """The id of the process itself (taskset executes it in its own place)."""
        return self._popen.pid

    def check_alive(self) -> None:
        """Raise ProcessFailed with the end of its log when it is gone."""
        if self._popen.poll() is not None:
            tail = self.log.read_text(encoding="utf-8", errors="replace")[-1500:]
            raise ProcessFailed(f"{self._name} ended with {self._popen.returncode}:\n{tail}")

    def wait_for_port(self, port: int) -> None:
        """Wait until something accepts connections on the loopback port; raises ProcessFailed."""
        self._wait(lambda: _listens(port), f"listen on {port}")

    def wait_for_path(self, path: Path) -> None:
        """Wait until a file or socket is there; raises ProcessFailed."""
        self._wait(path.exists, f"make {path.name}")

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not done():
            self.check_alive()
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self._name} does not {what} within {START_SECONDS:g} s")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Ask it to end, then make it; its children follow their parent or are ended too."""
        if self._popen.poll() is not None:
            return
        self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(STOP_SECONDS)

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _inherited() -> dict[str, str]:
    """Our environment without the variables that steer our tools: the sidecar refuses those it does not know."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
