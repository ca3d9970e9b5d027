"""A trust domain under the test's thumb: its embedded Workload API, and whatever else its authority can sign.

The server and its registry are those of `python -m webhook.identity`. They run in a thread of the test,
so that a test can also have what no honest server gives: an SVID that has expired, or of another domain.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.provider import Identity
from webhook.identity.registry import Registry
from webhook.identity.workload_api_server import WorkloadApiServer

SECONDS = 20
T = TypeVar("T")


class TrustDomain:
    """A registry and its sockets. Everything happens on the loop of the thread."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.registry = Registry(name, lambda: datetime.now(UTC), authority_lifetime=timedelta(days=3))
        self._loop = loop
        self._server = WorkloadApiServer(self.registry)

    def serve(self, path: Path, workload: str, owner: int) -> None:
        """Serve the identity `workload` (a path) on a socket that only the user `owner` may open."""

        async def serve() -> None:
            if not self.registry.workloads(path):
                self.registry.register(path, self.id(workload))
            await self._server.serve(path)

        self._run(serve)
        os.chown(path, owner, owner)

    def stop(self) -> None:
        """Serve nobody; the sockets are gone."""
        self._run(self._server.stop)

    def change(self, change: Callable[[Registry], None]) -> None:
        """Do something to the registry."""

        async def work() -> None:
            change(self.registry)

        self._run(work)

    def id(self, workload: str) -> SpiffeId:
        return SpiffeId.parse(f"spiffe://{self.name}/{workload}")

    def identity(self, workload: str, *, expired: bool = False) -> Identity:
        """An identity that was issued past the Workload API, an hour too early if it is to be `expired`."""
        lifetime = timedelta(hours=1)
        issued = datetime.now(UTC) - (2 * lifetime if expired else timedelta())
        svid = new_svid(self.registry.authorities[0], self.id(workload), issued, lifetime)
        return Identity(svid, {self.name: self.registry.bundle})

    def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        async def worked() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(worked(), self._loop).result(SECONDS)


@contextlib.contextmanager
def trust_domain(name: str) -> Iterator[TrustDomain]:
    """A trust domain that ends with the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"authority of {name}")
    thread.start()
    try:

        async def make() -> TrustDomain:
            return TrustDomain(name, loop)

        made = asyncio.run_coroutine_threadsafe(make(), loop).result(SECONDS)
        try:
            yield made
        finally:
            made.stop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()
