"""A listener: its bound on connections, and how it drains."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.proxy.listener import Listener
from sidecar.proxy.ticker import NEVER, Ticker
from tests.support.fakes import Clock, FakeTransport, settled


class Connection(asyncio.Protocol):
    """One that goes when it is told, or not at all."""

    def __init__(self, listener: Listener, *, stays: bool = False) -> None:
        self.listener = listener
        self.stays = stays
        self.deadline = NEVER
        self.transport: Any = FakeTransport(self)
        self.expired = False
        listener.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.listener.closed(self)

    def expire(self) -> None:
        self.expired = True

    def drain(self) -> None:
        if not self.stays:
            self.transport.close()


def listening(limit: int = 100) -> tuple[Listener, Ticker, Clock]:
    clock = Clock()
    ticker = Ticker(1.0, clock)
    return Listener("forward", lambda listener: Connection(listener), ticker, limit), ticker, clock


async def test_connections_beyond_the_bound_are_cut_and_not_counted() -> None:
    listener, _, _ = listening(limit=2)
    first, second, third = (Connection(listener) for _ in range(3))
    assert (listener.count, third.transport.aborted) == (2, True)
    first.transport.close()
    await settled()
    later = Connection(listener)
    assert (listener.count, later.transport.aborted, second.transport.aborted) == (2, False, False)


async def test_its_connections_have_deadlines_for_as_long_as_they_are_open() -> None:
    listener, ticker, clock = listening()
    one, other = Connection(listener), Connection(listener)
    one.deadline = other.deadline = clock.now
    listener.closed(other)
    ticker.expire_due()
    assert (one.expired, other.expired) == (True, False)


async def test_draining_with_nothing_open_is_complete_at_once() -> None:
    listener, _, _ = listening()
    assert await listener.drain(0.0) is True


async def test_draining_waits_for_what_is_under_way() -> None:
    listener, _, _ = listening()
    idle, busy = Connection(listener), Connection(listener, stays=True)
    draining = asyncio.get_running_loop().create_task(listener.drain(5.0))
    await settled()
    assert (idle.transport.closing, busy.transport.closing, draining.done()) == (True, False, False)
    busy.transport.close()
    assert await draining is True
    assert not busy.transport.aborted


async def test_what_takes_too_long_to_drain_is_cut() -> None:
    listener, _, _ = listening()
    busy = Connection(listener, stays=True)
    assert await listener.drain(0.01) is False
    assert busy.transport.aborted


async def test_a_connection_that_comes_while_draining_is_cut() -> None:
    listener, _, _ = listening()
    await listener.drain(0.0)
    late = Connection(listener)
    assert (late.transport.aborted, listener.count) == (True, 0)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1:"), ("::1", "[::1]:")])
async def test_it_tells_the_address_that_it_got(host: str, shown: str) -> None:
    listener, _, _ = listening()
    try:
        await listener.start(host, 0)
    except OSError:
        pytest.skip(f"{host} cannot be bound on this machine")
    address = listener.address
    await listener.drain(0.0)
    assert address.startswith(shown)
    assert int(address.rpartition(":")[2]) > 0
