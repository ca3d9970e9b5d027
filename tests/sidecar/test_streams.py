"""Streams and large bodies: nothing is held back, nothing piles up, and whoever leaves is missed at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
from dataclasses import replace

import pytest

from sidecar.limits import Limits
from tests.support.loopback import (
    POLICY,
    Client,
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
from tests.support.meshed import GITHUB, TRIAGE, Published, client_side, new_mesh, server_side

LOOPS = ("asyncio", "uvloop")

OPEN_STREAM = (
    b"GET http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
    b"accept: text/event-stream\r\n\r\n"
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
NOTE = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"' + b"x" * 120 + b'"}}\n\n'
MiB = 1024 * 1024


def resident() -> int:
    """Resident memory of this process in bytes: client, sidecar and server together."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_an_event_is_passed_on_within_5_ms() -> None:
    """The median of many, so that one turn of a busy machine says nothing."""
    asked, times = asyncio.Semaphore(0), asyncio.Queue[float]()
    clock = asyncio.get_running_loop().time

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD)
        while True:
            await asked.acquire()
            times.put_nowait(clock())
            writer.write(NOTE)

    latencies = []
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(OPEN_STREAM)
        await client.head()
        parts = client.chunks()
        for _ in range(200):
            asked.release()
            await anext(parts)
            latencies.append(clock() - await times.get())
    assert statistics.median(latencies) < 0.005


async def test_a_stream_of_100_000_events_goes_through_in_flat_memory() -> None:
    batch, batches = 500, 200

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD)
        for _ in range(batches):
            writer.write(NOTE * batch)
            await writer.drain()

    events, before = 0, 0
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(OPEN_STREAM)
        await client.head()
        async for part in client.chunks():
            events += part.count(b"\n\n")
            before = before or (resident() if events > 10 * batch else 0)
    assert events == batch * batches
    assert resident() - before < 16 * MiB


async def test_bodies_of_4_mib_go_through_in_flat_memory() -> None:
    received = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            received.append(len((await read_request(reader))[1]))
            writer.write(json_answer(result({"content": []})))

    sizes = []
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        for _ in range(12):
            assert (await client.rpc(call("search", text="x" * (4 * MiB - 1024))))[0] == 200
            sizes.append(resident())
    assert min(received) > 4 * MiB - 1024
    assert max(sizes) - sizes[3] < 16 * MiB


async def test_a_client_that_does_not_read_holds_the_server_back() -> None:
    written, stalled = 0, asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(STREAM_HEAD)
        with contextlib.suppress(TimeoutError):
            while written < 200 * MiB:
                writer.write(NOTE * 500)
                written += len(NOTE) * 500
                async with asyncio.timeout(2):
                    await writer.drain()
        stalled.set()

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(OPEN_STREAM)
        await asyncio.wait_for(stalled.wait(), 30)
    # What fits into the buffers of two sockets, and no more: the sidecar keeps nothing beside them.
    assert written < 60 * MiB


async def silent_after(
    begun: bytes, noticed: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Begin an answer, then wait for the other side to leave."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(begun)
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass
    noticed.set()


async def in_tunnel(client: Client) -> None:
    await client.send(b"CONNECT plain.tools.svc:8081 HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n")
    await client.head()
    await client.send(b"GET / HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n")


async def call_it(client: Client) -> None:
    await client.send(post(call("search")))


async def listen(client: Client) -> None:
    await client.send(OPEN_STREAM)
    await client.head()


@pytest.mark.parametrize(
    ("ask", "begun"),
    [
        pytest.param(call_it, b"", id="before the answer"),
        pytest.param(
            call_it,
            b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"jso',
            id="in a JSON answer",
        ),
        pytest.param(listen, STREAM_HEAD + NOTE, id="in an event stream"),
        pytest.param(in_tunnel, b"", id="in a tunnel"),
    ],
)
async def test_a_client_that_leaves_is_missed_by_the_server_within_a_second(ask, begun: bytes) -> None:  # type: ignore[no-untyped-def]
    noticed, arrived = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await silent_after(begun, noticed, reader, writer)

    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            await ask(client)
            await asyncio.wait_for(arrived.wait(), 5)
        await asyncio.wait_for(noticed.wait(), 1)
        idle_and_busy = sidecar.metrics.exposition()
    assert 'outrider_upstream_connections{state="busy"} 1' not in idle_and_busy


async def test_a_client_that_leaves_is_missed_through_two_sidecars() -> None:
    mesh = new_mesh()
    noticed, arrived = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await silent_after(b"", noticed, reader, writer)

    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (_, inbound),
        client_side(Published(mesh.identity(TRIAGE)), inbound) as (_, port),
    ):
        async with client_of(port) as client:
            await client.send(post(call("search")))
            await asyncio.wait_for(arrived.wait(), 5)
        await asyncio.wait_for(noticed.wait(), 1)


async def test_http_with_sse_of_2024_11_05_works_and_is_decided() -> None:
    """The server announces where messages go, and answers on the stream."""
    policy = POLICY.replace("path: /mcp", "path: /sse")
    streams: list[asyncio.StreamWriter] = []
    messages: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            if head.startswith(b"GET"):
                streams.append(writer)
                writer.write(STREAM_HEAD + b"event: endpoint\ndata: /messages?session=1\n\n")
                await reader.read()
                return
            messages.append(head.split(b" ")[1])
            writer.write(
                b"HTTP/1.1 202 Accepted\r\ncontent-type: text/plain\r\ncontent-length: 8\r\n\r\nAccepted"
            )
            answer = result({"tools": [{"name": "search"}, {"name": "drop"}]}, json.loads(body)["id"])
            streams[0].write(f"event: message\ndata: {json.dumps(answer)}\n\n".encode())

    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with (
        serving(script) as backend,
        sidecar_for(backend.port, policy=policy) as (_, port),
        client_of(port) as stream,
        client_of(port) as poster,
    ):
        await stream.send(OPEN_STREAM.replace(b"/mcp", b"/sse"))
        await stream.head()
        parts = stream.chunks()
        assert await anext(parts) == b"event: endpoint\ndata: /messages?session=1\n\n"
        await poster.send(post(listing, path="/messages?session=1"))
        accepted = await poster.answer()
        listed = json.loads((await anext(parts)).split(b"data: ")[1])
        await poster.send(post(call("drop", 2), path="/messages?session=1"))
        _, _, refused = await poster.answer()
        await poster.send(post(listing, path="/elsewhere"))
        _, _, undeclared = await poster.answer()
    assert (accepted[0], accepted[2]) == (202, b"Accepted")
    assert [tool["name"] for tool in listed["result"]["tools"]] == ["search"]
    assert json.loads(refused)["error"]["message"] == "Unknown tool: drop"
    assert json.loads(undeclared)["error"]["data"]["reason"] == "path_not_declared"
    assert messages == [b"/messages?session=1"]


async def test_an_endpoint_that_was_asked_for_before_it_was_announced_works_after() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        if head.startswith(b"GET"):
            writer.write(STREAM_HEAD + b"event: endpoint\ndata: /messages?session=1\n\n")
            await reader.read()
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    message = post(call("search"), path="/messages?session=1")
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as stream, client_of(port) as poster:
            await poster.send(message)
            _, _, early = await poster.answer()
            await stream.send(OPEN_STREAM)
            await stream.head()
            await anext(stream.chunks())
            await poster.send(message)
            status, _, _ = await poster.answer()
    assert json.loads(early)["error"]["data"]["reason"] == "path_not_declared"
    assert status == 202


async def test_a_redirect_is_passed_on_and_the_new_hop_is_decided() -> None:
    script, _ = answering(
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://evil.example.com/mcp\r\ncontent-length: 0\r\n\r\n"
    )
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post(call("search")))
        status, fields, _ = await client.answer()
        await client.send(post(call("search")).replace(b"github.tools.svc:8080", b"evil.example.com"))
        _, _, refused = await client.answer()
    assert (status, fields["location"]) == (307, "http://evil.example.com/mcp")
    assert json.loads(refused)["error"]["data"]["reason"] == "egress_denied"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE"])
async def test_other_methods_are_not_mcp(method: str) -> None:
    script, seen = answering(json_answer(result({})))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(OPEN_STREAM.replace(b"GET", method.encode()))
        status, _ = await client.head()
    assert (status, seen) == (405, [])


async def test_the_bound_on_connections_holds_and_frees_again() -> None:
    script, _ = answering(json_answer(result({})))
    limits = replace(Limits(), connections=2, drain_seconds=0.5)
    async with serving(script) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as first, client_of(port) as second:
            assert (await first.rpc(call("search")))[0] == 200
            assert (await second.rpc(call("search")))[0] == 200
            async with client_of(port) as third:
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(third.reader.read(), 5) == b""
        status = 0
        for _ in range(50):
            # The listener learns of the two that left in turns of its own.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                async with client_of(port) as later:
                    status, _ = await later.rpc(call("search"))
                    break
    assert status == 200
