"""Clients that leave, stall or never read, in the states in which no event of the loop tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.limits import Limits
from sidecar.proxy.downstream import MAX_HELD, Downstream
from sidecar.telemetry import names
from tests.support.loopback import (
    POLICY,
    Backend,
    answering,
    call,
    client_of,
    json_answer,
    post,
    read_request,
    result,
    serving,
    sidecar_for,
)
from tests.support.slow import slow_client_of, until

LOOPS = ("asyncio", "uvloop")
QUICK = replace(Limits(), drain_seconds=0.5)
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DATABASE = POLICY.replace("{protocol: HTTP, host: plain.tools.svc", "{protocol: TCP, host: plain.tools.svc")
TUNNEL = b"CONNECT plain.tools.svc:8081 HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n"


@asynccontextmanager
async def working_backend() -> AsyncIterator[tuple[Backend, asyncio.Event]]:
    """A backend that takes a request, says so, and works on it until its caller leaves."""
    busy = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        busy.set()
        await reader.readexactly(1)

    async with serving(script) as backend:
        yield backend, busy


def upload(size: int) -> bytes:
    fields = f"host: plain.tools.svc:8081\r\ncontent-length: {size}\r\n\r\n"
    return b"POST http://plain.tools.svc:8081/ HTTP/1.1\r\n" + fields.encode() + b"x" * size


@pytest.mark.parametrize("size", [70_000, 100_000, 1_000_000])
async def test_a_client_that_leaves_after_a_large_upload_is_missed(size: int) -> None:
    async with working_backend() as (backend, busy), sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            await client.send(upload(size))
            await asyncio.wait_for(busy.wait(), 5)
        await asyncio.wait_for(backend.lost.wait(), 2)


async def test_a_client_that_sent_far_ahead_and_leaves_is_missed() -> None:
    async with working_backend() as (backend, busy), sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            ahead = post(call("search", text="x" * 8000))
            await client.send(post(call("search")) + ahead * (2 * MAX_HELD // len(ahead)))
            await asyncio.wait_for(busy.wait(), 5)
        await asyncio.wait_for(backend.lost.wait(), 2)


class Hanging:
    """A dialer that reaches nothing, ever."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def dial(self, destination: object, protocol: object) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


async def test_a_client_that_leaves_before_its_tunnel_is_open_ends_the_attempt() -> None:
    dialer = Hanging()
    async with sidecar_for(1, policy=DATABASE) as (sidecar, port):
        sidecar.pipeline.dialer = dialer  # type: ignore[assignment]
        async with client_of(port) as client:
            await client.send(TUNNEL)
            await asyncio.wait_for(dialer.begun.wait(), 5)
        await asyncio.wait_for(dialer.ended.wait(), 2)


async def test_each_direction_of_a_tunnel_ends_by_itself() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"you said " + await reader.read(-1))
        writer.write_eof()

    async with serving(script) as backend, sidecar_for(backend.port, policy=DATABASE) as (_, port):
        async with client_of(port) as client:
            await client.send(TUNNEL)
            await client.head()
            await client.send(b"hello")
            client.writer.write_eof()
            assert await asyncio.wait_for(client.reader.read(-1), 5) == b"you said hello"


async def test_what_a_client_of_a_tunnel_sent_before_it_left_arrives() -> None:
    arrived: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    held = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        arrived.set_result(len(await reader.read(-1)))

    async with serving(script) as backend, sidecar_for(backend.port, policy=DATABASE) as (_, port):
        async with client_of(port) as client:
            await client.send(TUNNEL)
            await client.head()
            client.writer.write(b"x" * 8_000_000)
            held.set()
            await client.writer.drain()
        assert await asyncio.wait_for(arrived, 10) == 8_000_000


def connections(sidecar: Sidecar) -> list[Downstream]:
    return [c for c in sidecar._listeners["forward"]._connections if isinstance(c, Downstream)]


@asynccontextmanager
async def big_answers(limits: Limits) -> AsyncIterator[tuple[Sidecar, int, Backend]]:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 30000000\r\n\r\n" + b"x" * 30_000_000)
            await writer.drain()

    async with serving(script) as backend, sidecar_for(backend.port, limits=limits) as (sidecar, port):
        yield sidecar, port, backend


GET = b"GET http://plain.tools.svc:8081/ HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n"


async def test_a_client_that_takes_nothing_of_its_answer_is_given_up_and_the_backend_not_blamed() -> None:
    limits = replace(QUICK, stall_seconds=0.2, upstream_idle_seconds=0.1)
    async with big_answers(limits) as (sidecar, port, backend), slow_client_of(port) as client:
        await client.send(GET)
        await asyncio.wait_for(backend.lost.wait(), 3)
        await until(lambda: not connections(sidecar))
        assert sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", Reason.CLIENT_STALLED)) == 1
        assert not sidecar.metrics.value(names.UPSTREAM_FAILURES, ("plain", Reason.UPSTREAM_IDLE_TIMEOUT))


async def test_a_connection_that_is_closed_does_not_wait_for_ever_for_its_client_to_read() -> None:
    limits = replace(QUICK, linger_seconds=0.2, stall_seconds=0, head_seconds=0.2)
    async with big_answers(limits) as (sidecar, port, _), slow_client_of(port) as client:
        await client.send(GET)
        await until(lambda: any(c.transport.get_write_buffer_size() for c in connections(sidecar)))
        (connection,) = connections(sidecar)
        connection.hang_up()
        await until(lambda: not connections(sidecar), 3)


async def test_a_stream_that_begins_after_the_certificates_ended_is_ended() -> None:
    begin = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await begin.wait()
        writer.write(EVENTS)
        await reader.readexactly(1)

    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(post(call("search")))
            await until(lambda: backend.connections == 1)
            (connection,) = connections(sidecar)
            connection.expires = connection.deadline = sidecar.pipeline.clock()
            sidecar._ticker.expire_due()
            begin.set()
            status, _, body = await client.answer()
            assert (status, body) == (200, b"")
            await asyncio.wait_for(backend.lost.wait(), 2)


async def test_a_request_after_the_certificates_ended_is_not_served() -> None:
    script, seen = answering(json_answer(result({"tools": []})))
    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(post(call("search")))
            assert (await client.answer())[0] == 200
            (connection,) = connections(sidecar)
            connection.expires = sidecar.pipeline.clock()  # and the ticker has not come round yet
            await client.send(post(call("search")))
            assert await client.reader.read(1) == b""
    assert len(seen) == 1


async def test_a_connection_beyond_the_bound_is_counted_and_said() -> None:
    async with sidecar_for(1, limits=replace(QUICK, connections=1)) as (sidecar, port):
        async with client_of(port), client_of(port) as second:
            assert await second.reader.read(1) == b""
            refused = sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", Reason.TOO_MANY_CONNECTIONS))
            assert refused == 1
