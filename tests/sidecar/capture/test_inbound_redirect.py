"""What others dial in this pod, brought here by the kernel: mesh TLS, the application's TLS, plain text."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh.protocol.tls.alert import Alert, fatal_alert
from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.capture.inbound import Application
from sidecar.capture.inbound_redirect import InboundRedirect
from sidecar.proxy.listener import Listener
from sidecar.telemetry import names
from tests.support.loopback import Script, answering, call, client_of, json_answer, post, result, serving
from tests.support.meshed import (
    CLIENT_POLICY,
    GITHUB,
    SERVER_POLICY,
    TRIAGE,
    Published,
    client_side,
    new_mesh,
    server_side,
)
from tests.support.slow import until

LOOPS = ("asyncio", "uvloop")
MESH = new_mesh()
NOBODY_MAY = SERVER_POLICY + ('  - from: [unauthenticated]\n    mcp: {tools: {allow: ["list_*"]}}\n')
HTTP_ALONE = SERVER_POLICY[: SERVER_POLICY.index("  - from")] + (
    "  - from: [unauthenticated]\n    http: {allow: true}\n"
)
NOBODY_MAY_ALL = SERVER_POLICY + "  - from: [unauthenticated]\n    http: {allow: true}\n"


@asynccontextmanager
async def redirected(
    script: Script, *, permissive: bool = False, policy: str = SERVER_POLICY, direct: bool = False
) -> AsyncIterator[tuple[Sidecar, int, Listener]]:
    """A server's sidecar with a listener whose connections were all meant for the application's port."""
    async with serving(script) as backend:
        identity = Published(MESH.identity(GITHUB))
        async with server_side(identity, backend.port, policy=policy) as (sidecar, _):

            def original(sock: Any) -> tuple[str, int] | None:
                return None if direct else ("10.1.2.3", backend.port)

            application = Application("127.0.0.1", (backend.port,))
            redirect = InboundRedirect(
                sidecar.pipeline, sidecar.identity, application, lambda port: permissive, original
            )
            listener = Listener("redirectInbound", redirect.accept, sidecar._ticker, 100)
            await listener.start("127.0.0.1", 0)
            try:
                yield sidecar, int(listener.address.rpartition(":")[2]), listener
            finally:
                await listener.drain(0.5)


def refused(sidecar: Sidecar, reason: Reason) -> int:
    return sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", reason))


def origin(message: object) -> bytes:
    return post(message).replace(b"http://github.tools.svc:8080/", b"/")


@pytest.mark.parametrize("permissive", [False, True])
async def test_tls_of_the_mesh_is_ended_here_in_either_mode(permissive: bool) -> None:
    script, seen = answering(json_answer(result({"content": []})))
    async with (
        redirected(script, permissive=permissive) as (_, inbound, listener),
        client_side(Published(MESH.identity(TRIAGE)), inbound, policy=CLIENT_POLICY) as (_, port),
    ):
        async with client_of(port) as client:
            passed = await client.rpc(call("search"))
            _, denied = await client.rpc(call("drop"))
            assert listener.count == 1
    assert passed == (200, result({"content": []}))
    assert denied["error"]["message"] == "Unknown tool: drop"
    assert len(seen) == 1


async def test_in_strict_mode_plain_http_is_refused_and_told_what_to_do() -> None:
    script, seen = answering(json_answer({}))
    async with redirected(script, policy=NOBODY_MAY_ALL) as (sidecar, port, listener):
        async with client_of(port) as client:
            await client.send(origin(call("search")))
            status, _, body = await client.answer()
        assert (status, json.loads(body)["reason"]) == (403, "plain_text_refused")
        assert refused(sidecar, Reason.PLAIN_TEXT_REFUSED) == 1
        await until(lambda: listener.count == 0)
    assert seen == []


async def test_in_permissive_mode_plain_http_is_decided_as_nobodys() -> None:
    script, seen = answering(json_answer(result({"content": []})))
    async with redirected(script, permissive=True, policy=NOBODY_MAY) as (_, port, _listener):
        async with client_of(port) as client:
            await client.send(origin(call("list_all")))
            passed = (await client.answer())[0]
            await client.send(origin(call("search")))
            denied = json.loads((await client.answer())[2])
    assert passed == 200
    assert denied["error"]["message"] == "Unknown tool: search"
    assert len(seen) == 1


async def test_in_permissive_mode_a_policy_that_names_nobody_refuses_them() -> None:
    script, seen = answering(json_answer({}))
    async with redirected(script, permissive=True) as (_, port, _listener), client_of(port) as client:
        await client.send(origin(call("search")))
        status, _, body = await client.answer()
    assert (status, json.loads(body)["reason"], seen) == (403, "peer_not_allowed", [])


def own_hello() -> bytes:
    """The ClientHello of TLS that is the application's own."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="app.example.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@pytest.mark.parametrize(
    ("permissive", "policy", "reason"),
    [
        (False, NOBODY_MAY_ALL, Reason.FOREIGN_TLS_REFUSED),
        (True, NOBODY_MAY, Reason.INBOUND_PATH_NOT_DECLARED),
        (True, SERVER_POLICY, Reason.PEER_NOT_ALLOWED),
    ],
)
async def test_the_applications_own_tls_is_refused_in_tls(
    permissive: bool, policy: str, reason: Reason
) -> None:
    async with redirected(echo, permissive=permissive, policy=policy) as (sidecar, port, _listener):
        async with client_of(port) as client:
            await client.send(own_hello())
            alert = await asyncio.wait_for(client.reader.read(-1), 5)
        assert alert == fatal_alert(Alert.ACCESS_DENIED)
        assert refused(sidecar, reason) == 1


@pytest.mark.parametrize(
    ("first", "policy"),
    [
        (own_hello(), NOBODY_MAY_ALL),
        (own_hello(), HTTP_ALONE),
        (b"\x00\x01\x02 opaque", HTTP_ALONE),
        (b"SSH-2.0-x\r\n", HTTP_ALONE),
    ],
)
async def test_what_cannot_be_inspected_passes_untouched_where_nobody_may_do_all(
    first: bytes, policy: str
) -> None:
    async with redirected(echo, permissive=True, policy=policy) as (_, port, listener):
        async with client_of(port) as client:
            await client.send(first)
            assert await asyncio.wait_for(client.reader.readexactly(len(first)), 5) == first
            await client.send(b"more")
            assert await asyncio.wait_for(client.reader.readexactly(4), 5) == b"more"
        await until(lambda: listener.count == 0)


async def test_opaque_bytes_are_refused_in_strict_mode() -> None:
    async with redirected(echo, policy=NOBODY_MAY_ALL) as (sidecar, port, _listener):
        async with client_of(port) as client:
            await client.send(b"\x00\x01\x02")
            assert await asyncio.wait_for(client.reader.read(-1), 5) == b""
        assert refused(sidecar, Reason.PLAIN_TEXT_REFUSED) == 1


async def test_a_connection_to_the_capture_port_itself_is_closed() -> None:
    script, seen = answering(json_answer({}))
    async with redirected(script, permissive=True, policy=NOBODY_MAY_ALL, direct=True) as (sidecar, port, _):
        async with client_of(port) as client:
            await client.send(origin(call("search")))
            assert await asyncio.wait_for(client.reader.read(-1), 5) == b""
        assert refused(sidecar, Reason.NOT_REDIRECTED) == 1
    assert seen == []


@pytest.mark.parametrize("prefix", [b"\n", b"\r\n\r\n", b"\n" * 40, b"\r\n" * 60, b"\x00", b" "])
async def test_no_byte_in_front_of_a_request_takes_it_past_the_rules_of_mcp(prefix: bytes) -> None:
    script, seen = answering(json_answer(result({"content": []})))
    async with redirected(script, permissive=True, policy=NOBODY_MAY_ALL) as (_, port, _listener):
        async with client_of(port) as client:
            await client.send(prefix + origin(call("drop")))
            with contextlib.suppress(ConnectionResetError):
                await asyncio.wait_for(client.reader.read(1), 5)
    assert seen == []


@pytest.mark.parametrize("line", [b"\nGET /x HTTP/1.1", b"\r\n\r\nGET /x HTTP/1.1", b"get /x HTTP/1.1"])
async def test_http_that_is_not_written_strictly_never_passes_unseen(line: bytes) -> None:
    script, seen = answering(json_answer({}))
    async with redirected(script, permissive=True, policy=HTTP_ALONE) as (_, port, _listener):
        async with client_of(port) as client:
            await client.send(
                line + b"\r\nhost: app\r\nx-forwarded-client-cert: URI=spiffe://x/admin\r\n\r\n"
            )
            with contextlib.suppress(ConnectionResetError):
                await asyncio.wait_for(client.reader.read(1), 5)
    assert not any(b"x-forwarded-client-cert" in head for head, _ in seen)


async def test_an_application_that_speaks_first_is_heard_where_nobody_may_do_all() -> None:
    async def greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await writer.drain()
        await reader.read(1)

    async with redirected(greeting, permissive=True, policy=HTTP_ALONE) as (_, port, _listener):
        async with client_of(port) as client:
            assert await asyncio.wait_for(client.reader.readline(), 5) == b"220 ready\r\n"


async def test_a_listener_of_one_connection_takes_one() -> None:
    script, _ = answering(json_answer(result({"content": []})))
    async with redirected(script) as (_, inbound, listener):
        listener._limit = 1
        async with (
            client_side(Published(MESH.identity(TRIAGE)), inbound, policy=CLIENT_POLICY) as (_, port),
            client_of(port) as client,
        ):
            assert (await client.rpc(call("search")))[0] == 200
