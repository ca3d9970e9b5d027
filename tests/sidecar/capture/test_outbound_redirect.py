"""Connections that the kernel would have brought: what the agent dialled is told by the test instead."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from mesh.policy.principal import Principal
from mesh.protocol.tls.alert import Alert, fatal_alert
from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.capture.outbound_redirect import OutboundRedirect
from sidecar.limits import Limits
from sidecar.proxy.listener import Listener
from sidecar.telemetry import names
from tests.support.loopback import (
    POLICY,
    TOOLS,
    answering,
    call,
    client_of,
    json_answer,
    post,
    result,
    serving,
    sidecar_for,
)
from tests.support.slow import until

LOOPS = ("asyncio", "uvloop")
SERVICE = ("10.96.0.7", 8080)
DATABASE = (
    POLICY
    + """
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: db}
spec: {protocol: TCP, host: db.tools.svc, port: 5432, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: reports}
spec: {outbound: [{backend: db}]}
"""
)
OPEN = POLICY.replace("spec:\n  outbound:", "spec:\n  egress: allow\n  outbound:")


@asynccontextmanager
async def redirected(
    backend_port: int,
    dialled: tuple[str, int] | OSError | None,
    *,
    policy: str = POLICY,
    limits: Limits | None = None,
    addresses: dict[str, frozenset[str]] | None = None,
) -> AsyncIterator[tuple[Sidecar, int, Listener]]:
    """A sidecar with a listener whose connections were all meant to go to `dialled`."""

    def original(sock: Any) -> tuple[str, int] | None:
        if isinstance(dialled, OSError):
            raise dialled
        return dialled

    async def resolve(host: str) -> frozenset[str]:
        return (addresses or {}).get(host, frozenset())

    connect = {"10.1.2.3:7000": f"127.0.0.1:{backend_port}"}
    async with sidecar_for(backend_port, policy=policy, limits=limits, connect=connect) as (sidecar, _):
        for member in ("10.96.0.9", "fd00::9"):
            sidecar._dialer._connect[(member, 5432)] = ("127.0.0.1", backend_port)
        sidecar._dialer._connect[("other.example.com", 8080)] = ("127.0.0.1", backend_port)
        redirect = OutboundRedirect(sidecar.pipeline, lambda: Principal("agent"), original, resolve)
        listener = Listener("redirectOutbound", redirect.accept, sidecar._ticker, 100)
        await listener.start("127.0.0.1", 0)
        try:
            yield sidecar, int(listener.address.rpartition(":")[2]), listener
        finally:
            await listener.drain(0.5)


def origin(message: object) -> bytes:
    return post(message).replace(b"http://github.tools.svc:8080/", b"/")


def refused(sidecar: Sidecar, reason: Reason) -> int:
    return sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", reason))


async def test_http_is_routed_by_host_and_decided_like_any_other() -> None:
    script, seen = answering(json_answer(result({"tools": TOOLS})))
    async with serving(script) as backend, redirected(backend.port, SERVICE) as (_, port, listener):
        async with client_of(port) as client:
            await client.send(origin({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
            listed = json.loads((await client.answer())[2])
            await client.send(origin(call("drop")))
            denied = json.loads((await client.answer())[2])
        await until(lambda: listener.count == 0)
    assert [tool["name"] for tool in listed["result"]["tools"]] == ["search", "list_all"]
    assert denied["error"]["message"] == "Unknown tool: drop"
    assert len(seen) == 1


async def test_a_request_may_come_byte_by_byte() -> None:
    script, seen = answering(json_answer(result({})))
    async with serving(script) as backend, redirected(backend.port, SERVICE) as (_, port, _listener):
        async with client_of(port) as client:
            for byte in origin(call("search")):
                await client.send(bytes([byte]))
            assert (await client.answer())[0] == 200
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("request_line", "host", "reason"),
    [
        ("GET /mcp", "github.tools.svc:9090", "http_bad_host"),
        ("GET /mcp", "", "http_bad_host"),
        ("GET http://github.tools.svc:9090/mcp", "github.tools.svc:9090", "http_bad_host"),
        ("GET https://github.tools.svc:8080/mcp", "github.tools.svc:8080", "http_bad_host"),
        ("CONNECT github.tools.svc:8080", "github.tools.svc:8080", "http_bad_target"),
        ("GET /mcp", "wiki.tools.svc:8080", "egress_denied"),
        ("GET /mcp", "wiki.tools.svc", "egress_denied"),
        ("GET /mcp", "10.96.0.7:8080", "egress_denied"),
        ("GET /admin", "github.tools.svc:8080", "path_not_declared"),
    ],
)
async def test_what_no_policy_lets_pass_is_refused_with_its_reason(
    request_line: str, host: str, reason: str
) -> None:
    script, seen = answering(json_answer({}))
    async with serving(script) as backend, redirected(backend.port, SERVICE) as (_, port, _listener):
        async with client_of(port) as client:
            await client.send(f"{request_line} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            status, _, body = await client.answer()
    assert json.loads(body)["reason"] == reason
    assert status in (400, 403)
    assert seen == []


@pytest.mark.parametrize("dialled", [None, OSError(107, "not connected")])
async def test_a_connection_to_the_capture_port_itself_is_closed(dialled: OSError | None) -> None:
    script, seen = answering(json_answer({}))
    async with serving(script) as backend, redirected(backend.port, dialled) as (sidecar, port, listener):
        async with client_of(port) as client:
            await client.send(origin(call("search")))
            assert await asyncio.wait_for(client.reader.read(-1), 5) == b""
        await until(lambda: listener.count == 0)
        assert refused(sidecar, Reason.NOT_REDIRECTED) == 1
    assert seen == []


async def greets_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    writer.write(await reader.readline())
    await writer.drain()


@pytest.mark.parametrize("dialled", [("10.96.0.9", 5432), ("fd00::9", 5432)])
async def test_a_tcp_backend_is_known_by_its_address_before_anybody_speaks(dialled: tuple[str, int]) -> None:
    addresses = {"db.tools.svc": frozenset({"10.96.0.9", "fd00::9"})}
    async with (
        serving(greets_first) as backend,
        redirected(backend.port, dialled, policy=DATABASE, addresses=addresses) as (_, port, _listener),
        client_of(port) as client,
    ):
        assert await asyncio.wait_for(client.reader.readline(), 5) == b"220 ready\r\n"
        await client.send(b"query\n")
        assert await asyncio.wait_for(client.reader.read(-1), 5) == b"query\n"


async def test_another_address_on_the_port_of_a_tcp_backend_is_not_it() -> None:
    async with serving(greets_first) as backend:
        addresses = {"db.tools.svc": frozenset({"10.96.0.9"})}
        target = redirected(backend.port, ("10.96.0.66", 5432), policy=DATABASE, addresses=addresses)
        async with target as (_, port, _listener), client_of(port) as client:
            await client.send(b"\x00\x00\x00\x08query")
            assert await asyncio.wait_for(client.reader.read(-1), 5) == b""
    assert backend.connections == 0


async def test_a_client_that_leaves_while_its_destination_is_looked_up_leaves_nothing_behind() -> None:
    async def never(host: str) -> frozenset[str]:
        await asyncio.Event().wait()
        return frozenset()

    limits = replace(Limits(), drain_seconds=0.5, handshake_seconds=0.2, head_seconds=0.2)
    async with redirected(1, ("10.96.0.9", 5432), policy=DATABASE, limits=limits) as (sidecar, _, _listener):
        redirect = OutboundRedirect(
            sidecar.pipeline, lambda: Principal("agent"), lambda sock: ("10.96.0.9", 5432), never
        )
        listener = Listener("redirectOutbound", redirect.accept, sidecar._ticker, 100)
        await listener.start("127.0.0.1", 0)
        async with client_of(int(listener.address.rpartition(":")[2])):
            await until(lambda: listener.count == 1)
        await until(lambda: listener.count == 0, 3)
        await listener.drain(0.1)


async def test_bytes_that_are_no_protocol_pass_only_where_egress_is_open() -> None:
    for policy, answer in ((POLICY, b""), (OPEN, b"220 ready\r\n\x00\x01\n")):
        async with (
            serving(greets_first) as backend,
            redirected(backend.port, ("10.1.2.3", 7000), policy=policy) as (_, port, _listener),
            client_of(port) as client,
        ):
            await client.send(b"\x00\x01\n")
            assert await asyncio.wait_for(client.reader.read(-1), 5) == answer


async def test_a_client_that_says_nothing_is_closed_in_time() -> None:
    limits = replace(Limits(), drain_seconds=0.5, handshake_seconds=0.1, head_seconds=0.2)
    async with redirected(1, SERVICE, limits=limits) as (sidecar, port, listener), client_of(port) as client:
        assert await asyncio.wait_for(client.reader.read(-1), 5) == b""
        await until(lambda: listener.count == 0)
        assert refused(sidecar, Reason.HEAD_TIMEOUT) == 1


# TLS.


def hello(server_name: str | None) -> bytes:
    """A real ClientHello."""
    context = ssl.create_default_context()
    context.check_hostname = server_name is not None
    if server_name is None:
        context.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("server_name", "alert", "reason"),
    [
        (None, Alert.MISSING_EXTENSION, Reason.SERVER_NAME_MISSING),
        ("github.tools.svc", Alert.ACCESS_DENIED, Reason.CONNECT_REFUSED),
        ("wiki.tools.svc", Alert.ACCESS_DENIED, Reason.EGRESS_DENIED),
    ],
)
async def test_tls_that_no_policy_lets_pass_is_refused_in_tls(
    server_name: str | None, alert: Alert, reason: Reason
) -> None:
    async with serving(answering(b"")[0]) as backend, redirected(backend.port, SERVICE) as (sidecar, port, _):
        async with client_of(port) as client:
            await client.send(hello(server_name))
            assert await asyncio.wait_for(client.reader.read(-1), 5) == fatal_alert(alert)
        assert refused(sidecar, reason) == 1
    assert backend.connections == 0


async def test_tls_to_what_is_open_goes_to_whom_it_names_and_is_not_touched() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(65536))
        await writer.drain()

    first = hello("other.example.com")
    async with (
        serving(echo) as backend,
        redirected(backend.port, SERVICE, policy=OPEN) as (_, port, _listener),
        client_of(port) as client,
    ):
        await client.send(first)
        assert await asyncio.wait_for(client.reader.readexactly(len(first)), 5) == first


async def test_broken_tls_is_refused_with_its_reason() -> None:
    async with redirected(1, SERVICE) as (sidecar, port, _), client_of(port) as client:
        await client.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
        assert (await asyncio.wait_for(client.reader.read(-1), 5))[:1] == b"\x15"
        assert refused(sidecar, Reason.CLIENT_HELLO_MALFORMED) == 1


async def test_what_the_agent_said_before_it_was_known_whom_it_dialled_arrives_with_its_end() -> None:
    known = asyncio.Event()

    async def later(host: str) -> frozenset[str]:
        await known.wait()
        return frozenset({"10.96.0.9"})

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"you said " + await reader.read(-1))
        await writer.drain()

    async with serving(script) as backend:
        async with redirected(backend.port, ("10.96.0.9", 5432), policy=DATABASE) as (sidecar, _, _listener):
            redirect = OutboundRedirect(
                sidecar.pipeline, lambda: Principal("agent"), lambda sock: ("10.96.0.9", 5432), later
            )
            listener = Listener("redirectOutbound", redirect.accept, sidecar._ticker, 100)
            await listener.start("127.0.0.1", 0)
            async with client_of(int(listener.address.rpartition(":")[2])) as client:
                await client.send(b"query")
                client.writer.write_eof()
                await until(lambda: any(getattr(c, "_ended", False) for c in listener._connections))
                known.set()
                assert await asyncio.wait_for(client.reader.read(-1), 5) == b"you said query"
            await listener.drain(0.1)


async def test_a_server_that_speaks_first_is_heard_where_egress_is_open() -> None:
    async with (
        serving(greets_first) as backend,
        redirected(backend.port, ("10.1.2.3", 7000), policy=OPEN) as (_, port, _listener),
        client_of(port) as client,
    ):
        assert await asyncio.wait_for(client.reader.readline(), 5) == b"220 ready\r\n"


async def test_an_inspected_backend_at_the_address_of_a_tcp_backend_is_inspected() -> None:
    script, seen = answering(json_answer(result({"content": []})))
    policy = DATABASE.replace("host: db.tools.svc, port: 5432", "host: db.tools.svc, port: 8080")
    addresses = {name: frozenset({SERVICE[0]}) for name in ("db.tools.svc", "github.tools.svc")}
    async with (
        serving(script) as backend,
        redirected(backend.port, SERVICE, policy=policy, addresses=addresses) as (_, port, _listener),
        client_of(port) as client,
    ):
        await client.send(origin(call("drop")))
        denied = json.loads((await client.answer())[2])
    assert denied["error"]["message"] == "Unknown tool: drop"
    assert seen == []
