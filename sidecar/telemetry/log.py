"""Structured JSON log lines that never hold up traffic.

Lines are collected in memory and written by one thread, a batch at a time, so a sink that blocks (a full
pipe, a slow disk) stalls only that thread. What does not fit the bound is dropped and counted: losing a log
line is better than losing a request, and the counter says that it happened.

A line holds codes and names. It never holds tokens, arguments or results.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue

import msgspec

_encode = msgspec.json.Encoder().encode

FLUSH_SECONDS = 0.05
"""How long a line may wait for others: twenty hand-overs a second, whatever the rate of lines."""

MAX_BUFFERED_BYTES = 1024 * 1024

MAX_TEXT = 256
"""Characters kept of any text that the other side chose (a tool's name, a host)."""


CLOSE_SECONDS = 2.0
"""How long the end of the process waits for a slow sink."""


def encode_fields(event: str, fields: Mapping[str, object]) -> bytes:
    """Everything of a line but its time: event and the fields that are not None, text cut to MAX_TEXT."""
    line: dict[str, object] = {"event": event}
    for name, value in fields.items():
        if value is not None:
            line[name] = value[:MAX_TEXT] if isinstance(value, str) else value
    return _encode(line)[1:] + b"\n"


class Log:
    """Writes JSON lines to a file descriptor."""

    def __init__(
        self,
        fd: int = 2,
        *,
        now: Callable[[], float] = time.time,
        dropped: Callable[[int], None] = lambda lines: None,
    ) -> None:
        self._now = now
        self._dropped = dropped
        self._lines: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writer = _Writer(fd)
        self._second = -1
        self._prefix = b""

    def write(self, event: str, **fields: object) -> None:
        """Add one line: time (RFC 3339, UTC), event, and the fields that are not None."""
        self.write_encoded(encode_fields(event, fields))

    def write_encoded(self, rest: bytes) -> None:
        """Add one line of which all but the time is encoded already, by `encode_fields`."""
        self._add(b'{"time":"%b",%b' % (self._timestamp(), rest))

    def _add(self, line: bytes) -> None:
        if self._size + len(line) > MAX_BUFFERED_BYTES:
            self._dropped(1)
            return
        self._lines.append(line)
        self._size += len(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if not self._writer.idle:
            # The sink is slow: wait for it, and let the bound above decide what is lost.
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)
            return
        self._hand_over()

    def _hand_over(self) -> None:
        if lost := self._writer.take_lost():
            self._dropped(lost)
        if self._lines:
            self._writer.put(b"".join(self._lines), len(self._lines))
            self._lines.clear()
            self._size = 0

    def close(self) -> None:
        """Write what is left and end the thread; a sink that blocks is given up after two seconds."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._hand_over()
        self._writer.close()

    def _timestamp(self) -> bytes:
        now = self._now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        return b"%b.%03dZ" % (self._prefix, int((now - second) * 1000))


class _Writer:
    """The thread that writes batches. Daemonic, so that a blocked sink cannot keep the process alive."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._batches: SimpleQueue[tuple[bytes, int] | None] = SimpleQueue()
        self._lost = 0
        self.idle = True
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, batch: bytes, lines: int) -> None:
        self.idle = False
        self._batches.put((batch, lines))

    def take_lost(self) -> int:
        """Lines lost since the last call. Called only while idle, so no lock is needed."""
        lost, self._lost = self._lost, 0
        return lost

    def close(self) -> None:
        self._batches.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while (item := self._batches.get()) is not None:
            batch, lines = item
            try:
                _write_all(self._fd, batch)
            except OSError:
                self._lost += lines
            self.idle = True


def _write_all(fd: int, batch: bytes) -> None:
    view = memoryview(batch)
    while view:
        view = view[os.write(fd, view) :]
