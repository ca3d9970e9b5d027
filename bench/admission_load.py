"""Reviews over TLS connections that stay open, as an API server sends them: back to back, or at fixed times."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from bench.load import LoadFailed


class Caller:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(cls, port: int, roots: Path) -> Caller:
        """Connect to a loopback port whose certificate is in `roots`."""
        context = ssl.create_default_context(cafile=str(roots))
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    async def ask(self, request: bytes) -> bytes:
        """Send one request and read its answer; raises LoadFailed for anything but 200."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise LoadFailed(head.split(b"\r\n")[0].decode())
        (length,) = (
            line[16:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")
        )
        return await self._reader.readexactly(int(length))

    def hang_up(self) -> None:
        """Close the connection."""
        self._writer.close()


def request_of(body: bytes) -> bytes:
    """The whole request for a review."""
    fields = ("host: x", "content-type: application/json", f"content-length: {len(body)}", "", "")
    return "\r\n".join(("POST /mutate?timeout=5s HTTP/1.1", *fields)).encode() + body


async def back_to_back(callers: Sequence[Caller], requests: Sequence[bytes], count: int) -> float:
    """`count` requests as fast as they are answered; the seconds that took."""
    left = iter(range(count))

    async def work(caller: Caller) -> None:
        for number in left:
            await caller.ask(requests[number % len(requests)])

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(work(caller))
    return time.perf_counter() - began


async def at_rate(
    callers: Sequence[Caller], requests: Sequence[bytes], rate: float, count: int
) -> list[float]:
    """`count` requests at fixed times, whatever became of those before; sorted seconds from their times on."""
    free: asyncio.LifoQueue[Caller] = asyncio.LifoQueue()
    for caller in callers:
        free.put_nowait(caller)
    taken: list[float] = []

    async def one(number: int, due: float) -> None:
        caller = await free.get()
        await caller.ask(requests[number % len(requests)])
        taken.append(time.perf_counter() - due)
        free.put_nowait(caller)

    began = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
    return sorted(taken)
