"""Clients that send ahead, do not read, stop half way or stay for ever: found by review, kept as tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.policy.errors import PolicyInvalid
from sidecar.config import load_config
from sidecar.limits import Limits
from tests.support.loopback import (
    POLICY,
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

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
MB = 1_000_000


async def send_until_held_back(writer: asyncio.StreamWriter, data: bytes, most: int) -> int:
    """Write `data` again and again until the other side takes no more for a second; bytes sent."""
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < most:
            writer.write(data)
            sent += len(data)
            async with asyncio.timeout(1):
                await writer.drain()
    return sent


async def test_answers_to_a_client_that_does_not_read_do_not_pile_up() -> None:
    big = result({"text": "x" * MB})
    asked = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while True:
            await read_request(reader)
            asked += 1
            writer.write(json_answer(big))

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await send_until_held_back(client.writer, post(PING) * 50, 40 * MB)
        client.writer.transport.abort()
    assert asked < 60


async def test_refusals_to_a_client_that_does_not_read_hold_it_back_too() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            sent = await send_until_held_back(client.writer, post(call("drop" * 200)) * 50, 200 * MB)
            client.writer.transport.abort()
    assert sent < 200 * MB


async def test_the_telemetry_port_holds_back_who_does_not_read() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (sidecar, _):
        port = int(sidecar.addresses["telemetry"].rpartition(":")[2])
        async with client_of(port) as client:
            get = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 500
            sent = await send_until_held_back(client.writer, get, 200 * MB)
            client.writer.transport.abort()
    assert sent < 200 * MB


@pytest.mark.parametrize("size", [50_000, 100_000, 200_000, 2_000_000])
async def test_a_connection_goes_on_after_an_upload_of_any_size(size: int) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    upload = (
        b"POST http://plain.tools.svc:8081/up HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n"
        b"content-length: %d\r\n\r\n"
    )
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        for _ in range(3):
            await client.send(upload % size + b"x" * size)
            assert (await client.answer())[0] == 200


async def test_a_refused_tunnel_ends_its_connection_and_says_so() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            await client.send(b"CONNECT evil.example.com:443 HTTP/1.1\r\nhost: evil.example.com:443\r\n\r\n")
            status, fields, _ = await client.answer()
            rest = await asyncio.wait_for(client.reader.read(), 5)
    assert (status, fields["connection"], rest) == (403, "close", b"")


async def test_a_tunnel_in_which_nothing_is_said_ends() -> None:
    limits = replace(Limits(), idle_seconds=0.1, drain_seconds=0.5)
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as client:
            await client.send(
                b"CONNECT github.tools.svc:8080 HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n"
            )
            assert (await client.head())[0] == 200
            assert await asyncio.wait_for(client.reader.read(), 5) == b""


async def test_half_a_request_sent_ahead_must_be_finished_in_time() -> None:
    script, _ = answering(json_answer(result({})))
    limits = replace(Limits(), idle_seconds=0, head_seconds=0.1, drain_seconds=0.5)
    async with serving(script) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as client:
            await client.send(post(PING) + b"POST http://github")
            assert (await client.answer())[0] == 200
            assert (await client.answer())[0] == 408


async def test_many_sessions_of_an_http_and_sse_server_stay_open() -> None:
    policy = POLICY.replace("path: /mcp", "path: /sse")
    sessions = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sessions
        head, _ = await read_request(reader)
        if not head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        writer.write(b"event: endpoint\ndata: /messages/%d\n\n" % sessions)
        sessions += 1
        await reader.read()

    get = b"GET http://github.tools.svc:8080/sse HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n"
    async with contextlib.AsyncExitStack() as stack:
        backend = await stack.enter_async_context(serving(script))
        _, port = await stack.enter_async_context(sidecar_for(backend.port, policy=policy))
        for _ in range(100):
            stream = await stack.enter_async_context(client_of(port))
            await stream.send(get)
            await stream.head()
            await anext(stream.chunks())
        poster = await stack.enter_async_context(client_of(port))
        await poster.send(post(PING, path="/messages/0"))
        assert (await poster.answer())[0] == 202


@pytest.mark.parametrize(
    "limit",
    [
        "headBytes: 0",
        "connections: 0",
        "connectSeconds: 0",
        "upstreamKeepAliveSeconds: 0",
        "idleSeconds: 0.001",
    ],
)
def test_a_limit_that_lets_nothing_pass_is_a_fault(limit: str, tmp_path: Path) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text(f"policies: [p.yaml]\nlimits: {{{limit}}}\n", encoding="utf-8")
    with pytest.raises(PolicyInvalid, match="at least"):
        load_config(path, {})


def test_limits_that_may_be_switched_off_take_0(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text("policies: [p.yaml]\nlimits: {idleSeconds: 0, headSeconds: 0}\n", encoding="utf-8")
    assert load_config(path, {}).limits.idle_seconds == 0


async def test_an_attempt_to_connect_that_fails_unforeseen_is_answered() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (sidecar, port):
        loop = asyncio.get_running_loop()
        told: list[object] = []
        loop.set_exception_handler(lambda _, context: told.append(context["message"]))

        async def broken(destination: object, protocol: object) -> None:
            raise RuntimeError("broken")

        sidecar.pipeline.dialer.dial = broken  # type: ignore[method-assign,assignment]
        async with client_of(port) as client:
            status, answer = await client.rpc(call("search"))
    assert (status, answer["error"]["data"]["reason"]) == (502, "upstream_unreachable")
    assert len(told) == 1
    assert json.dumps(answer)


@pytest.mark.parametrize("ending", ["keep-alive", "close"])
async def test_the_empty_line_that_old_clients_send_behind_a_body_costs_no_answer(ending: str) -> None:
    script, seen = answering(json_answer(result({})))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post(call("search"), connection=ending) + b"\r\n")
        assert (await client.answer())[0] == 200
        if ending == "close":
            return
        await client.send(post(call("search")))
        assert (await client.answer())[0] == 200
    assert all(head.startswith(b"POST /mcp ") for head, _ in seen)


async def test_silent_connections_to_the_telemetry_port_keep_no_probe_out() -> None:
    async with sidecar_for(9) as (sidecar, _):
        port = int(sidecar.addresses["telemetry"].rpartition(":")[2])
        with contextlib.ExitStack() as silent:
            for _ in range(200):
                silent.enter_context(socket.create_connection(("127.0.0.1", port)))
            async with client_of(port) as probe:
                await probe.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                status, _, body = await probe.answer()
        assert (status, body) == (200, b"alive\n")
        assert "too_many_connections" not in sidecar.metrics.exposition()
