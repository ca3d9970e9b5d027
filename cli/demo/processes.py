"""The processes of the demo: started, listened to, and ended by their own ids.

Whether a process is ready is something that it says. Nothing here waits for a fixed time; each wait is for a
line, with a bound, and ends at once when the process does. What a process wrote is kept and shown if it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from sidecar.tasks import spawn

START_SECONDS = 30.0
END_SECONDS = 5.0
MAX_LINE = 1 << 20
SHOWN_LINES = 12

# A developer's own proxies and sidecar settings must not reach the demo's processes.
_NOT_INHERITED = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

Record = dict[str, Any]
"""One JSON object, as our processes write them: one per line."""


class PartFailed(Exception):
    """A process ended or stayed silent. It, or this machine, is at fault; `output` is the last it wrote."""

    def __init__(self, part: str, what: str, output: str) -> None:
        super().__init__(f"{part} {what}")
        self.output = output


class Part:
    """One running process and everything that it has written so far."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.lines: list[str] = []
        self.records: list[Record] = []
        self._process = process
        self._log = log
        self._news = asyncio.Condition()
        self._ended = False
        self._listening = spawn(self._listen(), name=f"listen to {name}")

    async def find(
        self, match: Callable[[Record], bool], *, within: float = START_SECONDS, number: int = 1
    ) -> Record:
        """The first record, or the `number`th, past or to come, that matches. Raises PartFailed."""
        try:
            async with asyncio.timeout(within), self._news:
                while (found := next(islice(filter(match, self.records), number - 1, None), None)) is None:
                    if self._ended:
                        raise self._failure(f"ended with exit code {self._process.returncode}")
                    await self._news.wait()
                return found
        except TimeoutError as error:
            raise self._failure(f"did not say what was awaited within {within:g} seconds") from error

    async def tell(self, record: Record) -> None:
        """Write one record to the process's standard input. Raises PartFailed if nobody reads it."""
        writer = self._process.stdin
        assert writer is not None  # noqa: S101 - every part is started with a pipe
        try:
            writer.write(json.dumps(record).encode() + b"\n")
            await writer.drain()
        except ConnectionError as error:
            raise self._failure("does not listen any more") from error

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this one process, if it still runs."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def end(self) -> None:
        """SIGTERM, then SIGKILL for who does not heed it; only ever this one process."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        with self._log.open("w", encoding="utf-8") as log:
            streams = (self._process.stdout, self._process.stderr)
            await asyncio.gather(*(self._read(stream, log.write) for stream in streams if stream is not None))
        await self._process.wait()
        async with self._news:
            self._ended = True
            self._news.notify_all()

    async def _read(self, stream: asyncio.StreamReader, write: Callable[[str], object]) -> None:
        async for line in stream:
            text = line.decode("utf-8", "replace")
            write(text)
            self.lines.append(text.rstrip("\n"))
            if (record := parse_record(text)) is not None:
                self.records.append(record)
                async with self._news:
                    self._news.notify_all()

    def _failure(self, what: str) -> PartFailed:
        return PartFailed(self.name, what, "\n".join(self.lines[-SHOWN_LINES:]))


class Parts:
    """Starts processes of this Python, and ends every one of them when the context ends, however it ends."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._parts: list[Part] = []
        self._cleanups: list[Callable[[], Awaitable[None]]] = []

    def clean_up(self, cleanup: Callable[[], Awaitable[None]]) -> None:
        """Have this awaited when every process has ended."""
        self._cleanups.append(cleanup)

    async def start(self, name: str, *arguments: str, variables: Mapping[str, str] | None = None) -> Part:
        """Run `python -m ARGUMENTS` with this environment and `variables`. Does not wait until it is ready."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(os.environ, variables or {}),
            limit=MAX_LINE,
            # Ctrl-C reaches the demo alone, which then ends its processes in good order.
            start_new_session=True,
        )
        part = Part(name, process, self._logs / f"{name}.log")
        self._parts.append(part)
        return part

    async def __aenter__(self) -> Parts:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(part.end() for part in self._parts))
        for cleanup in self._cleanups:
            await cleanup()


@contextlib.asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that ends with its first failure, and raises that as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def environment(inherited: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """What a process of the demo gets: nothing of the user's own proxies and sidecars, then `variables`."""
    kept = {
        name: value
        for name, value in inherited.items()
        if name.upper() not in _NOT_INHERITED and not name.startswith("OUTRIDER_")
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **variables}


def parse_record(line: str) -> Record | None:
    """The JSON object in a line; None where there is none."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
