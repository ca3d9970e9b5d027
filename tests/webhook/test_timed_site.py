"""Connections that take their time, against a server that does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.support.slow import until
from webhook.timed_site import Places, TimedProtocol, TimedSite, caller_known, head_in_time

HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Timers:
    """Timers that fire when the test says so."""

    def __init__(self) -> None:
        self.running: list[FakeTimer] = []

    def __call__(self, seconds: float, call: Callable[[], object]) -> FakeTimer:
        assert seconds == 10
        self.running.append(FakeTimer(self, call))
        return self.running[-1]

    def fire(self) -> None:
        for timer in tuple(self.running):
            self.running.remove(timer)
            timer.call()


class FakeTimer:
    def __init__(self, timers: Timers, call: Callable[[], object]) -> None:
        self.timers = timers
        self.call = call

    def cancel(self) -> None:
        if self in self.timers.running:
            self.timers.running.remove(self)


class Heard(asyncio.Protocol):
    def __init__(self) -> None:
        self.calls: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return True

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")


class Wire(asyncio.Transport):
    aborted = False

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def timers() -> Timers:
    return Timers()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def inner() -> Heard:
    return Heard()


@pytest.fixture
def protocol(inner: Heard, timers: Timers, wire: Wire) -> TimedProtocol:
    timed = TimedProtocol(inner, 10, timers)
    timed.connection_made(wire)
    return timed


def test_who_says_nothing_is_cut_off(protocol: TimedProtocol, timers: Timers, wire: Wire) -> None:
    timers.fire()
    assert wire.aborted


def test_a_head_that_comes_byte_by_byte_gains_no_time(
    protocol: TimedProtocol, timers: Timers, wire: Wire
) -> None:
    (timer,) = timers.running
    for place in range(10):
        protocol.data_received(HEAD[place : place + 1])
    assert timers.running == [timer]
    timers.fire()
    assert wire.aborted


def test_an_answer_may_take_its_time_and_so_may_the_next_request(
    protocol: TimedProtocol, timers: Timers, wire: Wire
) -> None:
    protocol.data_received(HEAD)
    with protocol.answering():
        protocol.data_received(b"body")
        assert timers.running == []
    assert timers.running == []
    protocol.data_received(b"G")
    assert len(timers.running) == 1
    timers.fire()
    assert wire.aborted


def test_a_connection_that_is_gone_leaves_no_timer(protocol: TimedProtocol, timers: Timers) -> None:
    protocol.connection_lost(None)
    assert timers.running == []


def test_everything_is_handed_on(protocol: TimedProtocol, inner: Heard) -> None:
    protocol.data_received(b"x")
    protocol.pause_writing()
    protocol.resume_writing()
    assert protocol.eof_received()
    protocol.connection_lost(None)
    assert inner.calls == ["made", b"x", "pause", "resume", "eof", "lost"]


@asynccontextmanager
async def serving(seconds: float) -> AsyncIterator[int]:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application(middlewares=[head_in_time])
    application.router.add_get("/", hello)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = TimedSite(runner, "127.0.0.1", 0, seconds=seconds)
        await site.start()
        assert site.name.startswith("http://127.0.0.1")
        async with asyncio.timeout(10):
            yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("part", [b"", b"GET / HTTP/1.1\r\nhost: x\r\n", HEAD + b"GET"])
async def test_a_server_waits_so_long_for_a_head_and_no_longer(part: bytes) -> None:
    async with serving(0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(part[: len(HEAD)])
        if len(part) > len(HEAD):
            assert b"200 OK" in await reader.readuntil(b"hello")
            writer.write(part[len(HEAD) :])
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


async def test_one_connection_carries_many_requests() -> None:
    async with serving(10) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(HEAD)
            assert b"200 OK" in await reader.readuntil(b"hello")
        writer.close()


async def test_without_such_a_site_requests_are_answered_all_the_same() -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application(middlewares=[head_in_time])
    application.router.add_get("/", hello)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(HEAD)
        assert b"200 OK" in await reader.readuntil(b"hello")
        writer.close()
    finally:
        await runner.cleanup()


@pytest.fixture
def turned_away() -> list[int]:
    return []


Open = Callable[[str], tuple[TimedProtocol, Wire]]


@pytest.fixture
def opened(turned_away: list[int], timers: Timers) -> Open:
    """Opens connections from addresses to a listener with room for four."""
    places = Places(4, lambda: turned_away.append(1))

    def make(peer: str) -> tuple[TimedProtocol, Wire]:
        wire = Wire({"peername": (peer, 1)})
        timed = TimedProtocol(Heard(), 10, timers, places)
        timed.connection_made(wire)
        return timed, wire

    return make


def test_a_crowd_from_one_place_makes_room_for_others(opened: Open, turned_away: list[int]) -> None:
    crowd = [opened("10.0.0.1") for _ in range(4)]
    kubelets = [opened("10.0.0.2"), opened("10.0.0.3")]
    assert [wire.aborted for _, wire in crowd] == [True, True, False, False]
    assert [wire.aborted for _, wire in kubelets] == [False, False]
    assert turned_away == [1, 1]


def test_a_crowd_that_goes_on_is_a_trouble_to_itself(opened: Open) -> None:
    _, kubelet = opened("10.0.0.2")
    crowd = [opened("10.0.0.1") for _ in range(10)]
    assert not kubelet.aborted
    assert [wire.aborted for _, wire in crowd] == [True] * 7 + [False] * 3


def test_who_waits_for_an_answer_is_not_cut_off_for_others(opened: Open) -> None:
    waiting = [opened("10.0.0.1") for _ in range(4)]
    with contextlib.ExitStack() as stack:
        for timed, _ in waiting[1:]:
            stack.enter_context(timed.answering())
        opened("10.0.0.1")
        assert [wire.aborted for _, wire in waiting] == [True, False, False, False]
    with contextlib.ExitStack() as stack:
        for timed, _ in waiting:
            stack.enter_context(timed.answering())
        assert not opened("10.0.0.1")[1].aborted, "in place of the idle one that came last"
    assert [wire.aborted for _, wire in waiting] == [True, False, False, False]


def test_a_place_is_free_again_after_a_connection(opened: Open, turned_away: list[int]) -> None:
    for timed, _ in [opened("10.0.0.1") for _ in range(4)]:
        timed.connection_lost(None)
    assert not any(wire.aborted for _, wire in [opened("10.0.0.1") for _ in range(4)])
    assert turned_away == []


def test_where_everybody_waits_who_comes_last_is_turned_away(opened: Open, turned_away: list[int]) -> None:
    with contextlib.ExitStack() as stack:
        for timed, _ in [opened("10.0.0.1") for _ in range(4)]:
            stack.enter_context(timed.answering())
        assert opened("10.0.0.2")[1].aborted
    assert turned_away == [1]


def at(places: Places, timers: Timers, peer: str) -> tuple[TimedProtocol, Wire]:
    wire = Wire({"peername": (peer, 1)})
    timed = TimedProtocol(Heard(), 10, timers, places)
    timed.connection_made(wire)
    return timed, wire


def test_one_address_has_only_so_many_places(timers: Timers, turned_away: list[int]) -> None:
    places = Places(8, lambda: turned_away.append(1), each=2)
    crowd = [at(places, timers, "10.0.0.1") for _ in range(3)]
    others = [at(places, timers, f"10.0.1.{one}") for one in range(6)]
    assert [wire.aborted for _, wire in crowd] == [True, False, False]
    assert not any(wire.aborted for _, wire in others)
    with crowd[1][0].answering(), crowd[2][0].answering():
        assert at(places, timers, "10.0.0.1")[1].aborted
    assert turned_away == [1, 1]


def test_who_is_known_needs_no_place_among_strangers(timers: Timers) -> None:
    places = Places(2, each=1)
    known, wire = at(places, timers, "10.0.0.1")
    known.known()
    stranger = at(places, timers, "10.0.0.1")[1]
    other = at(places, timers, "10.0.0.2")[1]
    assert [one.aborted for one in (wire, stranger, other)] == [False] * 3
    known.connection_lost(None)
    assert not stranger.aborted


async def test_a_handler_tells_that_it_knows_who_calls() -> None:
    let_go = asyncio.Event()
    inside: list[int] = []

    async def stay(request: web.Request) -> web.Response:
        caller_known(request)
        inside.append(1)
        await let_go.wait()
        return web.Response(text="hello")

    application = web.Application(middlewares=[head_in_time])
    application.router.add_get("/", stay)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = TimedSite(runner, "127.0.0.1", 0, most=2, each=1)
        await site.start()
        port = runner.addresses[0][1]
        async with asyncio.timeout(10):
            open_ = []
            for number in range(1, 4):
                open_.append(await asyncio.open_connection("127.0.0.1", port))
                open_[-1][1].write(HEAD)
                await until(lambda number=number: len(inside) == number)
            let_go.set()
            for reader, writer in open_:
                assert b"200 OK" in await reader.readuntil(b"hello")
                writer.close()
    finally:
        await runner.cleanup()


async def test_a_listener_has_room_for_so_many() -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application(middlewares=[head_in_time])
    application.router.add_get("/", hello)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    turned_away: list[int] = []
    try:
        site = TimedSite(runner, "127.0.0.1", 0, most=1, turned_away=lambda: turned_away.append(1))
        await site.start()
        port = runner.addresses[0][1]
        first, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        await first.readuntil(b"hello")
        second, other = await asyncio.open_connection("127.0.0.1", port)
        other.write(HEAD)
        await second.readuntil(b"hello")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await first.readexactly(1)
        writer.close()
        other.close()
        assert turned_away == [1]
    finally:
        await runner.cleanup()
