"""A port whose connections the kernel would have brought; where they were meant to go is told by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mesh.policy.principal import Principal
from sidecar.app import Sidecar
from sidecar.capture.outbound_redirect import OutboundRedirect
from sidecar.proxy.listener import Listener


@asynccontextmanager
async def captured(sidecar: Sidecar, dialled: tuple[str, int]) -> AsyncIterator[int]:
    """Gives the port; all its connections were meant to go to `dialled`, and no name has an address."""

    async def resolve(host: str) -> frozenset[str]:
        return frozenset()

    redirect = OutboundRedirect(sidecar.pipeline, lambda: Principal("agent"), lambda sock: dialled, resolve)
    listener = Listener("redirectOutbound", redirect.accept, sidecar._ticker, 100)
    await listener.start("127.0.0.1", 0)
    try:
        yield int(listener.address.rpartition(":")[2])
    finally:
        await listener.drain(0.5)
