"""A process that a test ends, kills and starts again, with everything that it wrote in one file.

`e2e.processes.spawn` holds a process for a block and for good; here the process's death is what is tested.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from e2e.processes import ROOT, DidNotStart, end

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.05
Found = TypeVar("Found")


class Daemon:
    """One program with its log. Start it as often as it was ended."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self.command = tuple(str(part) for part in command)
        self._env = dict(env) if env is not None else dict(os.environ)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program; what it writes is appended to the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=ROOT, env=self._env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def end(self) -> None:
        """Ask it to end, and make it where it does not."""
        if self._process is not None:
            self.thaw()
            end(self._process)

    def kill(self) -> None:
        """Take it away without a word, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it where it is: its sockets stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def text(self) -> str:
        """The log so far, of every start."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def until(self, look: Callable[[], Found | None], what: str, seconds: float = WAIT_SECONDS) -> Found:
        """What `look` finds, asked again and again while the program lives. Raises DidNotStart."""
        deadline = time.monotonic() + seconds
        while (found := look()) is None:
            exited = self._process is not None and self._process.poll() is not None
            if exited or time.monotonic() > deadline:
                why = "it exited" if exited else f"not within {seconds:g} s"
                raise DidNotStart(f"{self.command[0]}: {what}: {why}\n{self.text()[-3000:]}")
            time.sleep(POLL_SECONDS)
        return found

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def free_port() -> int:
    """A port of loopback that nobody had a moment ago, for programs that cannot take any."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
