"""The pool: which connection is handed out, when a new one is made, and how many there may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from mesh.protocol.http1.heads import ResponseHead
from mesh.reasons import Reason
from sidecar.limits import Limits
from sidecar.proxy.pool import ConnectFailed, Destination, Pool
from sidecar.proxy.ticker import Ticker
from sidecar.proxy.upstream import Upstream
from tests.support.fakes import Clock, FakeTransport, settled

HERE = Destination("github.tools.svc", 8080)
THERE = Destination("plain.tools.svc", 8081)
KEPT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
LAST = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


class Network:
    """A dialer: connects at once, fails, or waits until it is let go."""

    def __init__(self) -> None:
        self.dialled: list[Destination] = []
        self.failure: ConnectFailed | None = None
        self.gate: asyncio.Event | None = None
        self.expires: float | None = None
        self.cancelled = 0

    async def dial(self, destination: Destination, protocol: asyncio.Protocol) -> None:
        self.dialled.append(destination)
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.failure is not None:
            raise self.failure
        protocol.connection_made(FakeTransport(protocol))  # type: ignore[arg-type]
        if self.expires is not None:
            assert isinstance(protocol, Upstream)
            protocol.expires = self.expires


class Asker:
    """A waiter and an exchange in one: keeps what it is told."""

    def __init__(self) -> None:
        self.upstream: Upstream | None = None
        self.failed: Reason | None = None
        self.detail = ""
        self.ended = False

    def upstream_ready(self, upstream: Upstream) -> None:
        self.upstream = upstream

    def upstream_failed(self, reason: Reason, detail: str) -> None:
        self.failed, self.detail = reason, detail

    def answer_interim(self, head: ResponseHead) -> None: ...
    def answer_head(self, head: ResponseHead) -> None: ...
    def answer_body(self, data: bytes) -> None: ...
    def answer_end(self) -> None:
        self.ended = True

    def flush(self) -> None: ...
    def upstream_writable(self, writable: bool) -> None: ...


class Pooled:
    """A pool with everything around it."""

    def __init__(self, **limits: float) -> None:
        self.clock = Clock()
        self.network = Network()
        self.ticker = Ticker(1.0, self.clock)
        self.limits = replace(Limits(), **limits)  # type: ignore[arg-type]
        self.pool = Pool(self.network, self.limits, self.ticker, self.clock)

    async def connection(self, destination: Destination = HERE) -> Upstream:
        asker = await self.ask(destination)
        assert asker.upstream is not None, asker.failed
        return asker.upstream

    async def ask(self, destination: Destination = HERE) -> Asker:
        asker = Asker()
        task = self.pool.acquire(destination, asker)
        if task is not None:
            await task
        return asker

    def answer(self, upstream: Upstream, answer: bytes = KEPT) -> None:
        """One exchange on the connection, from request to the end of the answer."""
        asker = Asker()
        upstream.serve(asker, "POST")
        upstream.data_received(answer)
        assert asker.ended

    def state(self, state: str) -> float:
        return self.pool.counts()[(state,)]


@pytest.fixture
def make() -> Callable[..., Pooled]:
    return Pooled


async def test_the_connection_used_last_is_handed_out_first(make: Callable[..., Pooled]) -> None:
    pooled = make()
    first, second = await pooled.connection(), await pooled.connection()
    pooled.answer(first)
    pooled.answer(second)
    assert (await pooled.connection()) is second
    assert (await pooled.connection()) is first
    assert len(pooled.network.dialled) == 2


async def test_an_idle_connection_is_handed_over_at_once_and_without_a_task(
    make: Callable[..., Pooled],
) -> None:
    pooled = make()
    pooled.answer(await pooled.connection())
    asker = Asker()
    assert pooled.pool.acquire(HERE, asker) is None
    assert asker.upstream is not None


async def test_a_connection_serves_its_own_destination_only(make: Callable[..., Pooled]) -> None:
    pooled = make()
    pooled.answer(await pooled.connection(HERE))
    await pooled.connection(THERE)
    assert pooled.network.dialled == [HERE, THERE]


@pytest.mark.parametrize("change", [{"tls": "Mesh"}, {"server_name": "x"}, {"identity": "spiffe://a/b"}])
async def test_what_a_connection_must_prove_is_part_of_where_it_belongs(
    make: Callable[..., Pooled], change: dict[str, str]
) -> None:
    pooled = make()
    pooled.answer(await pooled.connection(HERE))
    await pooled.connection(HERE._replace(**change))
    assert len(pooled.network.dialled) == 2


@pytest.mark.parametrize(("seconds", "dialled"), [(3.9, 1), (4.0, 2), (60.0, 2)])
async def test_a_connection_idle_for_the_limit_is_not_used_again(
    make: Callable[..., Pooled], seconds: float, dialled: int
) -> None:
    pooled = make(upstream_keep_alive_seconds=4.0)
    first = await pooled.connection()
    pooled.answer(first)
    pooled.clock.now += seconds
    again = await pooled.connection()
    assert len(pooled.network.dialled) == dialled
    assert (again is first) is (dialled == 1)
    assert first.usable is (dialled == 1)


async def test_sweeping_closes_what_is_idle_too_long_and_nothing_else(make: Callable[..., Pooled]) -> None:
    pooled = make(upstream_keep_alive_seconds=4.0)
    old, busy, young = [await pooled.connection() for _ in range(3)]
    pooled.answer(old)
    pooled.clock.now += 3
    pooled.answer(young)
    pooled.clock.now += 2
    pooled.pool.sweep()
    await settled()
    assert (old.usable, busy.usable, young.usable) == (False, True, True)
    assert pooled.pool.counts() == {("idle",): 1, ("busy",): 1}


async def test_a_new_identity_closes_idle_connections_and_retires_busy_ones_after_their_answer(
    make: Callable[..., Pooled],
) -> None:
    pooled = make()
    idle, busy = await pooled.connection(), await pooled.connection()
    pooled.answer(idle)
    pooled.pool.renew()
    assert (idle.usable, busy.usable) == (False, True)
    pooled.answer(busy)
    assert not busy.usable
    await pooled.connection()
    assert len(pooled.network.dialled) == 3


async def test_a_connection_made_while_the_identity_changed_is_used_once(make: Callable[..., Pooled]) -> None:
    pooled = make()
    pooled.network.gate = asyncio.Event()
    asker = Asker()
    task = pooled.pool.acquire(HERE, asker)
    await settled()
    pooled.pool.renew()
    pooled.network.gate.set()
    assert task is not None
    await task
    assert asker.upstream is not None
    pooled.answer(asker.upstream)
    assert not asker.upstream.usable


@pytest.mark.parametrize(("seconds", "reused"), [(9, True), (10, False)])
async def test_a_connection_whose_certificate_ended_is_not_used_again(
    make: Callable[..., Pooled], seconds: int, reused: bool
) -> None:
    pooled = make(upstream_keep_alive_seconds=100.0)
    pooled.network.expires = pooled.clock.now + 10
    first = await pooled.connection()
    pooled.answer(first)
    pooled.clock.now += seconds
    assert ((await pooled.connection()) is first) is reused


async def test_an_answer_after_the_end_of_the_certificate_does_not_bring_the_connection_back(
    make: Callable[..., Pooled],
) -> None:
    pooled = make()
    pooled.network.expires = pooled.clock.now + 10
    first = await pooled.connection()
    pooled.clock.now += 11
    pooled.answer(first)
    assert not first.usable


async def test_a_server_that_says_close_is_not_asked_again(make: Callable[..., Pooled]) -> None:
    pooled = make()
    first = await pooled.connection()
    pooled.answer(first, LAST)
    assert not first.usable
    assert (await pooled.connection()) is not first


async def test_connections_to_one_destination_are_bounded_and_the_bound_says_its_number(
    make: Callable[..., Pooled],
) -> None:
    pooled = make(upstream_connections=2)
    await pooled.connection()
    await pooled.connection()
    refused = await pooled.ask()
    assert refused.failed is Reason.TOO_MANY_CONNECTIONS
    assert "2 connections to github.tools.svc:8080" in refused.detail
    assert (await pooled.ask(THERE)).upstream is not None


async def test_a_connection_that_ended_makes_room_for_another(make: Callable[..., Pooled]) -> None:
    pooled = make(upstream_connections=1)
    first = await pooled.connection()
    first.abandon()
    await settled()
    assert (await pooled.ask()).upstream is not None
    assert pooled.state("busy") == 1


async def test_an_attempt_that_failed_makes_room_for_another(make: Callable[..., Pooled]) -> None:
    pooled = make(upstream_connections=1)
    pooled.network.failure = ConnectFailed(Reason.UPSTREAM_UNREACHABLE, "nobody there")
    failed = await pooled.ask()
    assert (failed.failed, failed.detail) == (Reason.UPSTREAM_UNREACHABLE, "nobody there")
    pooled.network.failure = None
    assert (await pooled.ask()).upstream is not None


async def test_cancelling_the_attempt_stops_it_and_makes_room(make: Callable[..., Pooled]) -> None:
    pooled = make(upstream_connections=1)
    pooled.network.gate = asyncio.Event()
    asker = Asker()
    task = pooled.pool.acquire(HERE, asker)
    await settled()
    assert task is not None
    task.cancel()
    await settled()
    assert (task.cancelled(), pooled.network.cancelled) == (True, 1)
    assert (asker.upstream, asker.failed) == (None, None)
    pooled.network.gate = None
    assert (await pooled.ask()).upstream is not None


async def test_an_attempt_cancelled_before_it_began_costs_nothing(make: Callable[..., Pooled]) -> None:
    pooled = make(upstream_connections=1)
    task = pooled.pool.acquire(HERE, Asker())
    assert task is not None
    task.cancel()
    await settled()
    assert pooled.network.dialled == []
    assert (await pooled.ask()).upstream is not None


async def test_an_attempt_that_takes_too_long_is_told_as_a_timeout_and_makes_room(
    make: Callable[..., Pooled],
) -> None:
    pooled = make(upstream_connections=1, connect_seconds=0.01)
    pooled.network.gate = asyncio.Event()
    late = await pooled.ask()
    assert late.failed is Reason.UPSTREAM_CONNECT_TIMEOUT
    assert "within 0.01 s" in late.detail
    pooled.network.gate = None
    assert (await pooled.ask()).upstream is not None


async def test_a_connection_that_the_server_closed_while_idle_is_not_handed_out(
    make: Callable[..., Pooled],
) -> None:
    pooled = make()
    first = await pooled.connection()
    pooled.answer(first)
    first.connection_lost(None)
    assert (await pooled.connection()) is not first
    assert pooled.pool.counts() == {("idle",): 0, ("busy",): 1}


async def test_a_connection_that_is_closing_is_not_handed_out(make: Callable[..., Pooled]) -> None:
    pooled = make()
    first = await pooled.connection()
    pooled.answer(first)
    first.transport.closing = True
    assert (await pooled.connection()) is not first


async def test_bytes_that_nobody_asked_for_end_an_idle_connection(make: Callable[..., Pooled]) -> None:
    pooled = make()
    first = await pooled.connection()
    pooled.answer(first)
    first.data_received(KEPT)
    await settled()
    assert first.transport.aborted
    assert (await pooled.connection()) is not first


async def test_bytes_behind_an_answer_end_the_connection_and_not_the_answer(
    make: Callable[..., Pooled],
) -> None:
    pooled = make()
    first = await pooled.connection()
    pooled.answer(first, KEPT + b"HTTP/1.1 200 OK\r\n")
    assert not first.usable
    assert (await pooled.connection()) is not first


async def test_losing_a_connection_twice_is_counted_once(make: Callable[..., Pooled]) -> None:
    pooled = make(upstream_connections=1)
    first = await pooled.connection()
    first.connection_lost(None)
    pooled.pool.lost(first)
    assert pooled.pool.counts() == {("idle",): 0, ("busy",): 0}
    await pooled.connection()
    assert (await pooled.ask()).failed is Reason.TOO_MANY_CONNECTIONS


async def test_an_answer_that_does_not_come_in_time_fails_the_exchange_and_the_connection(
    make: Callable[..., Pooled],
) -> None:
    pooled = make(upstream_idle_seconds=30.0)
    upstream, asker = await pooled.connection(), Asker()
    upstream.serve(asker, "POST")
    pooled.clock.now += 29
    pooled.ticker.expire_due()
    assert asker.failed is None
    upstream.data_received(b"HTTP/1.1 200 OK\r\n")
    pooled.clock.now += 29
    pooled.ticker.expire_due()
    assert asker.failed is None
    pooled.clock.now += 1
    pooled.ticker.expire_due()
    assert asker.failed is Reason.UPSTREAM_IDLE_TIMEOUT
    assert upstream.transport.aborted


async def test_an_event_stream_may_be_silent(make: Callable[..., Pooled]) -> None:
    pooled = make(upstream_idle_seconds=30.0)
    upstream, asker = await pooled.connection(), Asker()
    upstream.serve(asker, "GET")
    upstream.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    upstream.wait_for_ever()
    upstream.data_received(b"3\r\n: \n\r\n")
    pooled.clock.now += 10**6
    pooled.ticker.expire_due()
    assert asker.failed is None


async def test_closing_the_pool_cuts_what_is_open(make: Callable[..., Pooled]) -> None:
    pooled = make()
    idle, busy = await pooled.connection(), await pooled.connection()
    pooled.answer(idle)
    asker = Asker()
    busy.serve(asker, "POST")
    pooled.pool.close()
    await settled()
    assert (idle.transport.aborted, busy.transport.aborted) == (True, True)
    assert asker.failed is Reason.UPSTREAM_RESET
    assert pooled.pool.counts() == {("idle",): 0, ("busy",): 0}


async def test_the_bound_holds_for_attempts_made_in_one_turn_of_the_loop(
    make: Callable[..., Pooled],
) -> None:
    pooled = make(upstream_connections=2)
    askers = [Asker() for _ in range(5)]
    tasks = [pooled.pool.acquire(HERE, asker) for asker in askers]
    await asyncio.gather(*(task for task in tasks if task is not None))
    assert [asker.failed for asker in askers] == [None, None] + [Reason.TOO_MANY_CONNECTIONS] * 3


async def test_a_connection_lost_before_it_was_handed_over_is_told_as_a_failure(
    make: Callable[..., Pooled],
) -> None:
    pooled = make()
    dial = pooled.network.dial

    async def and_lose(destination: Destination, protocol: asyncio.Protocol) -> None:
        await dial(destination, protocol)
        protocol.connection_lost(ConnectionResetError())

    pooled.network.dial = and_lose  # type: ignore[method-assign]
    asker = await pooled.ask()
    assert asker.upstream is None
    assert asker.failed is Reason.UPSTREAM_RESET


async def test_a_connection_whose_last_client_was_slow_reads_again_for_the_next(
    make: Callable[..., Pooled],
) -> None:
    pooled = make()
    first = await pooled.connection()
    first.serve(Asker(), "POST")
    first.read_on(False)
    first.data_received(KEPT)
    again = await pooled.connection()
    again.serve(Asker(), "POST")
    assert again.transport.paused is False
