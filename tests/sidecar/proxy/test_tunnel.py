"""Tunnels that pass as they are: bytes both ways, and the end of either side ends the other."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import replace

import pytest

from sidecar.limits import Limits
from sidecar.telemetry import names
from tests.support.loopback import ELSEWHERE, POLICY, Backend, answering, client_of, serving, sidecar_for
from tests.support.meshed import GITHUB, TRIAGE, Published, client_side, new_mesh

LOOPS = ("asyncio", "uvloop")

OPEN = "apiVersion: outrider.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: open}\nspec: {egress: allow}\n"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


DATABASE = f"""
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {{name: db}}
spec: {{protocol: TCP, host: github.tools.svc, port: 8080, tls: {{mode: Mesh, identity: "{GITHUB}"}}}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: triage}}
spec: {{outbound: [{{backend: db}}]}}
"""


CONNECT = f"CONNECT {ELSEWHERE} HTTP/1.1\r\nhost: {ELSEWHERE}\r\n\r\n".encode()


async def test_bytes_pass_both_ways_untouched() -> None:
    sent = bytes(range(256)) * 4000
    async with serving(echo) as backend, sidecar_for(backend.port, policy=OPEN) as (_, port):
        async with client_of(port) as client:
            await client.send(CONNECT)
            status, fields = await client.head()
            writing = asyncio.get_running_loop().create_task(client.send(sent))
            received = await asyncio.wait_for(client.reader.readexactly(len(sent)), 10)
            await writing
    assert (status, fields) == (200, {})
    assert received == sent


async def test_tls_in_an_opaque_tunnel_is_nobodys_business() -> None:
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="x.example.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    async with serving(echo) as backend, sidecar_for(backend.port, policy=OPEN) as (_, port):
        async with client_of(port) as client:
            await client.send(CONNECT)
            await client.head()
            await client.send(hello)
            assert await asyncio.wait_for(client.reader.readexactly(len(hello)), 5) == hello


async def test_the_end_of_the_server_ends_the_tunnel() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")

    async with serving(script) as backend, sidecar_for(backend.port, policy=OPEN) as (_, port):
        async with client_of(port) as client:
            await client.send(CONNECT)
            await client.head()
            assert await asyncio.wait_for(client.reader.read(), 5) == b"bye"


async def test_the_end_of_the_client_ends_the_tunnel() -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()

    async with serving(script) as backend, sidecar_for(backend.port, policy=OPEN) as (_, port):
        async with client_of(port) as client:
            await client.send(CONNECT)
            await client.head()
        await asyncio.wait_for(ended.wait(), 1)


async def test_a_destination_that_cannot_be_reached_is_a_502() -> None:
    async with serving(echo) as backend:
        free = backend.port
    async with sidecar_for(free, policy=OPEN) as (_, port), client_of(port) as client:
        await client.send(CONNECT)
        status, fields, body = await client.answer()
    assert (status, fields["connection"]) == (502, "close")
    assert json.loads(body)["reason"] == "upstream_unreachable"


async def test_bytes_before_the_tunnel_is_open_end_it() -> None:
    async with serving(echo) as backend, sidecar_for(backend.port, policy=OPEN) as (_, port):
        async with client_of(port) as client:
            await client.send(CONNECT + b"too early")
            received = b""
            try:
                received = await asyncio.wait_for(client.reader.read(), 5)
            except ConnectionError:
                pass
    assert b"too early" not in received


async def test_a_tunnel_to_an_unknown_destination_is_refused_under_egress_deny() -> None:
    script, seen = answering(b"")
    async with serving(script) as backend, sidecar_for(backend.port, policy=POLICY) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(CONNECT)
            status, _, body = await client.answer()
        counted = sidecar.metrics.value(
            names.REQUESTS, ("outbound", "undeclared", "connect", "egress_denied")
        )
    assert (status, json.loads(body)["reason"], counted, seen) == (403, "egress_denied", 1, [])


async def test_drain_lets_an_open_tunnel_go_on_until_its_time_is_up() -> None:
    async def run(backend: Backend) -> bytes:
        async with sidecar_for(backend.port, policy=OPEN) as (sidecar, port), client_of(port) as client:
            await client.send(CONNECT)
            await client.head()
            draining = asyncio.get_running_loop().create_task(sidecar.drain())
            await client.send(b"still here")
            received = await asyncio.wait_for(client.reader.readexactly(10), 5)
            await draining
            return received

    async with serving(echo) as backend:
        assert await run(backend) == b"still here"


async def test_a_server_that_speaks_first_is_heard_after_the_200() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.read()

    async with serving(script) as backend, sidecar_for(backend.port, policy=OPEN) as (_, port):
        for _ in range(20):
            async with client_of(port) as client:
                await client.send(CONNECT)
                assert (await client.head())[0] == 200
                assert await asyncio.wait_for(client.reader.readline(), 5) == b"220 hello\r\n"


async def test_a_server_that_says_nothing_of_tls_in_time_is_a_504() -> None:
    """A TCP Backend in the mesh: the tunnel is wrapped in mutual TLS, which must come about in time."""
    limits = replace(Limits(), connect_seconds=0.05, drain_seconds=0.5)
    silent, _ = answering(b"")
    identity = Published(new_mesh().identity(TRIAGE))
    async with (
        serving(silent) as backend,
        client_side(identity, backend.port, policy=DATABASE, limits=limits) as (
            _,
            port,
        ),
    ):
        async with client_of(port) as client:
            await client.send(
                b"CONNECT github.tools.svc:8080 HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n"
            )
            status, fields, body = await client.answer()
    assert (status, fields["connection"]) == (504, "close")
    assert json.loads(body)["reason"] == "upstream_connect_timeout"
