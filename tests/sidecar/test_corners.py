"""Corners of the data path: narrow connections, mixed TLS, tunnels sent ahead, strangers and slow readers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from dataclasses import replace
from typing import Any

import pytest

from mesh.protocol.opening import TLS_HANDSHAKE
from mesh.reasons import Reason
from sidecar.capture.intercepted import Interception
from sidecar.identity.holder import IdentityHolder
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.declared import DeclaredHosts
from sidecar.limits import Limits
from sidecar.proxy.tls import mesh_client
from sidecar.telemetry import names
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
from tests.support.meshed import GITHUB, Published, new_mesh, server_side
from tests.support.slow import slow_client_of, until

LOOPS = ("asyncio", "uvloop")
QUICK = replace(Limits(), drain_seconds=0.5)
CONNECT = b"CONNECT github.tools.svc:8080 HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n"


class Narrow:
    """A dialer whose connections take little at a time, as those of a network do."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def dial(self, destination: Any, protocol: Any) -> None:
        made = protocol.connection_made

        def narrowed(transport: Any) -> None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            made(transport)

        protocol_type = type(protocol)
        narrow = type(
            "Narrow", (protocol_type,), {"__slots__": (), "connection_made": lambda _, t: narrowed(t)}
        )
        protocol.__class__ = narrow
        await self._inner.dial(destination, protocol)


async def test_an_upload_to_a_backend_that_does_not_read_is_held_back_from_the_start() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    size = 64 * 1024 * 1024
    fields = f"host: plain.tools.svc:8081\r\ncontent-length: {size}\r\n\r\n"
    head = f"POST http://plain.tools.svc:8081/ HTTP/1.1\r\n{fields}"
    async with serving(deaf) as backend, sidecar_for(backend.port) as (sidecar, port):
        sidecar._pool._dialer = Narrow(sidecar._dialer)
        async with client_of(port) as client:
            client.writer.write(head.encode() + b"x" * size)
            await until(lambda: bool(sidecar._pool._home))
            (upstream,) = sidecar._pool._home
            await until(
                lambda: upstream.transport is not None and upstream.transport.get_write_buffer_size() > 0
            )
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await client.writer.drain()
            assert upstream.transport.get_write_buffer_size() < 2 * 1024 * 1024
            client.writer.transport.abort()


BESIDE = POLICY.replace(
    "port: 8080, path: /mcp, tls: {mode: None}", "port: 8080, path: /mcp, tls: {mode: Public}"
)
ELSEWHERE = BESIDE.replace("port: 8080, path: /oauth", "port: 9090, path: /oauth")


@pytest.mark.parametrize(("policy", "port_inside"), [(BESIDE, 8080), (ELSEWHERE, 9090)])
async def test_what_the_application_encrypted_never_leaves_in_plain_text(
    policy: str, port_inside: int
) -> None:
    script, seen = answering(json_answer({}))
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        sidecar._dialer._connect[("github.tools.svc", 9090)] = ("127.0.0.1", backend.port)
        authority = InterceptionAuthority(DeclaredHosts.of(sidecar.pipeline.policy.backends))
        sidecar.pipeline.interception = Interception(sidecar.pipeline, authority)
        context = ssl.create_default_context(cadata=authority.certificate_pem)
        async with client_of(port) as client:
            await client.send(CONNECT.replace(b"8080", str(port_inside).encode()))
            await client.head()
            with contextlib.suppress(ssl.SSLError):
                await client.writer.start_tls(context, server_hostname="github.tools.svc")
                await client.send(
                    f"POST /oauth/token HTTP/1.1\r\nhost: github.tools.svc:{port_inside}\r\n"
                    "authorization: Basic c2VjcmV0\r\ncontent-length: 0\r\n\r\n".encode()
                )
                await client.answer()
        said = [
            sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", reason))
            for reason in (Reason.WOULD_BE_PLAIN_TEXT, Reason.CONNECT_REFUSED)
        ]
    assert said == ([1, 0] if port_inside == 8080 else [0, 1])
    assert seen == []


async def test_a_path_of_a_tls_host_that_is_only_observed_does_not_leave_in_plain_text() -> None:
    arrived = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.extend(await reader.read(65536))

    policy = BESIDE.replace("spec:\n  outbound", "spec:\n  mode: observe\n  outbound")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with client_of(port) as client:
            await client.send(
                b"POST http://github.tools.svc:8080/token HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
                b"authorization: Basic c2VjcmV0\r\ncontent-length: 0\r\n\r\n"
            )
            status, _, _ = await client.answer()
    assert status == 502
    assert arrived[0] == TLS_HANDSHAKE
    assert b"c2VjcmV0" not in arrived


async def test_a_client_that_reads_slowly_and_steadily_is_not_given_up() -> None:
    size = 6_000_000

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode() + b"x" * size)
        await writer.drain()

    limits = replace(QUICK, stall_seconds=0.4, head_seconds=0.2)
    async with serving(script) as backend, sidecar_for(backend.port, limits=limits) as (sidecar, port):
        async with slow_client_of(port) as client:
            await client.send(
                b"GET http://plain.tools.svc:8081/ HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n"
            )
            await client.head()
            received, clock = 0, sidecar.pipeline.clock
            begun = clock()
            while received < size:
                received += len(await client.reader.readexactly(min(100_000, size - received)))
                pause = begun + 1.6 * received / size
                await until(lambda: clock() >= pause)  # noqa: B023 - awaited in the same turn of the loop
    assert not sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", Reason.CLIENT_STALLED))


class Silent(asyncio.Protocol):
    """A peer that connects and says nothing."""


async def test_strangers_count_against_the_bound_of_the_listener() -> None:
    mesh = new_mesh()
    limits = replace(QUICK, connections=3)
    async with server_side(Published(mesh.identity(GITHUB)), 1, limits=limits) as (server, inbound):
        holder = IdentityHolder()
        holder.publish(mesh.identity("spiffe://test.mesh/ns/agents/sa/stranger"))
        loop = asyncio.get_running_loop()
        listener = server._listeners["inbound"]
        open_ones = []
        for _ in range(3):
            dialled = loop.create_connection(lambda: mesh_client(Silent(), holder), "127.0.0.1", inbound)
            open_ones.append(await dialled)
        await until(lambda: listener.full)
        await until(lambda: listener.shaking_hands == 0)
        for transport, _ in open_ones:
            transport.abort()
        assert server.metrics.value(names.HANDSHAKES, ("inbound", Reason.PEER_NOT_ALLOWED)) == len(open_ones)


async def test_the_host_inside_a_tunnel_is_looked_at_on_each_request() -> None:
    script, seen = answering(json_answer(result({})))
    inside = post(call("search")).replace(b"http://github.tools.svc:8080/", b"/")
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(CONNECT)
        await client.head()
        await client.send(inside)
        assert (await client.answer())[0] == 200
        await client.send(inside.replace(b"host: github.tools.svc:8080", b"host: evil.example:8080"))
        status, _, body = await client.answer()
    assert (status, json.loads(body)["reason"], len(seen)) == (400, "http_bad_host", 1)


async def test_what_is_sent_behind_a_connect_that_was_sent_ahead_arrives() -> None:
    script, seen = answering(json_answer(result({})))
    inside = post(call("search")).replace(b"http://github.tools.svc:8080/", b"/")
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post(call("search")) + CONNECT + inside)
        assert (await client.answer())[0] == 200
        assert (await client.head())[0] == 200
        assert (await client.answer())[0] == 200
    assert len(seen) == 2


async def test_an_empty_line_between_requests_is_not_the_beginning_of_one() -> None:
    limits = replace(QUICK, head_seconds=0.1, idle_seconds=30)
    async with serving(answering(json_answer({}))[0]) as backend:
        async with sidecar_for(backend.port, limits=limits) as (sidecar, port), client_of(port) as client:
            await client.send(b"\r\n")
            (connection,) = sidecar._listeners["forward"]._connections
            clock = sidecar.pipeline.clock
            await until(lambda: connection.deadline > clock() + 20)
            later = clock() + 0.4
            await until(lambda: clock() > later)
            assert sidecar._listeners["forward"].count == 1
