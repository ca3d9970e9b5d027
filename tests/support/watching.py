"""A provider of the Workload API that runs, and what can be seen of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sidecar.identity.backoff import Backoff
from sidecar.identity.provider import Identity
from sidecar.identity.workload_api import WorkloadApiProvider
from sidecar.tasks import spawn


class Watch:
    """A provider that runs, what it published and what it complained of."""

    def __init__(self, socket: Path, choose: str | None = None, **patience: float) -> None:
        self.identities: asyncio.Queue[Identity] = asyncio.Queue()
        self.problems: asyncio.Queue[str] = asyncio.Queue()
        self.delays: list[float] = []
        self.asleep = asyncio.Event()
        self.refuse: Exception | None = None
        self.provider = WorkloadApiProvider(
            f"unix://{socket}",
            spiffe_id=choose,
            on_problem=self.problems.put_nowait,
            backoff=Backoff(first=1, longest=4, draw=lambda: 1.0),
            sleep=self._sleep,
            **patience,
        )

    async def _sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        self.asleep.set()
        woken = asyncio.Event()
        asyncio.get_running_loop().call_later(0.005, woken.set)
        await woken.wait()

    def publish(self, identity: Identity) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.identities.put_nowait(identity)

    async def slept(self, times: int) -> None:
        while len(self.delays) < times:
            self.asleep.clear()
            await self.asleep.wait()

    async def problem(self, text: str) -> None:
        while text not in await self.problems.get():
            continue


@asynccontextmanager
async def watching(socket: Path, choose: str | None = None, **patience: float) -> AsyncIterator[Watch]:
    """Run a provider for the block; its thread must be gone in the end."""
    watch = Watch(socket, choose, **patience)
    task = spawn(watch.provider.run(watch.publish), name="provider")
    try:
        async with asyncio.timeout(60):
            yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert "workload-api" not in [thread.name for thread in threading.enumerate()]
