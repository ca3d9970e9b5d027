"""Tunnels with a backend that is quicker than the event loop, and with ends that never come.

The servers run in a thread of their own: in one loop a backend can never be heard before the tunnel's own turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mesh.protocol.tls import alert
from mesh.reasons import Reason
from sidecar.limits import Limits
from sidecar.telemetry import names
from tests.support.loopback import POLICY, client_of, serving, sidecar_for
from tests.support.meshed import GITHUB, TRIAGE, Published, client_side, new_mesh
from tests.support.slow import cut, until

LOOPS = ("asyncio", "uvloop")
DATABASE = POLICY.replace("{protocol: HTTP, host: plain.tools.svc", "{protocol: TCP, host: plain.tools.svc")
SECURE_DATABASE = DATABASE.replace("port: 8081, tls: {mode: None}", "port: 8081, tls: {mode: Public}")
TUNNEL = b"CONNECT plain.tools.svc:8081 HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n"
QUICK = replace(Limits(), drain_seconds=0.5, linger_seconds=0.2)
TUNNELS = 60


@contextmanager
def threaded(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server in a thread; gives its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        listening.settimeout(10)

        def accept() -> None:
            try:
                while True:
                    sock, _ = listening.accept()
                    with sock:
                        serve(sock)
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


async def test_what_a_backend_says_first_comes_behind_the_answer_to_connect() -> None:
    with threaded(lambda sock: sock.sendall(b"220 ready\r\n")) as backend:
        async with sidecar_for(backend, policy=DATABASE, limits=QUICK) as (sidecar, port):
            for _ in range(TUNNELS):
                async with client_of(port) as client:
                    await client.send(TUNNEL)
                    received = await asyncio.wait_for(client.reader.read(-1), 5)
                    assert received == b"HTTP/1.1 200 Connection established\r\n\r\n220 ready\r\n"
            await until(lambda: sidecar._listeners["forward"].count == 0)


async def test_a_backend_that_hangs_up_at_once_leaves_nothing_behind() -> None:
    with threaded(lambda sock: None) as backend:
        async with sidecar_for(backend, policy=DATABASE, limits=QUICK) as (sidecar, port):
            for _ in range(TUNNELS):
                async with client_of(port) as client:
                    await client.send(TUNNEL)
                    assert (await asyncio.wait_for(client.reader.read(-1), 5)).startswith(b"HTTP/1.1 200 ")
            await until(lambda: sidecar._listeners["forward"].count == 0)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes everything, says nothing, and does not mind that its caller has ended."""
    while await reader.read(65536):
        pass
    await asyncio.Event().wait()


async def test_a_half_closed_tunnel_in_which_nothing_moves_ends() -> None:
    limits = replace(QUICK, idle_seconds=0.3)
    async with serving(silent) as backend:
        async with sidecar_for(backend.port, policy=DATABASE, limits=limits) as (sidecar, port):
            async with client_of(port) as client:
                await client.send(TUNNEL)
                await client.head()
            await until(lambda: sidecar._listeners["forward"].count == 0)
            assert sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", Reason.IDLE_TIMEOUT)) == 1


async def test_an_open_tunnel_may_be_silent_for_as_long_as_it_likes() -> None:
    limits = replace(QUICK, idle_seconds=0.1, head_seconds=0.1)
    async with serving(silent) as backend:
        async with sidecar_for(backend.port, policy=DATABASE, limits=limits) as (sidecar, port):
            async with client_of(port) as client:
                await client.send(TUNNEL)
                await client.head()
                clock = sidecar.pipeline.clock
                later = clock() + 0.5
                await until(lambda: clock() > later)
                assert sidecar._listeners["forward"].count == 1


async def test_a_client_that_resets_after_it_ended_its_side_is_missed() -> None:
    async with serving(silent) as backend:
        async with sidecar_for(backend.port, policy=DATABASE, limits=QUICK) as (sidecar, port):
            async with client_of(port) as client:
                await client.send(TUNNEL)
                await client.head()
                client.writer.write_eof()
                (connection,) = sidecar._listeners["forward"]._connections
                await until(lambda: connection.half_open)  # type: ignore[attr-defined]
                cut(client.writer)
                await until(lambda: sidecar._listeners["forward"].count == 0, 3)


async def test_a_tunnel_ends_with_the_certificates_under_it() -> None:
    mesh = new_mesh()
    policy = f"""
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
    from sidecar.identity.holder import IdentityHolder
    from sidecar.proxy.tls import mesh_server

    holder = IdentityHolder()
    holder.publish(mesh.identity(GITHUB))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: mesh_server(asyncio.Protocol(), holder), "127.0.0.1", 0)
    inbound = server.sockets[0].getsockname()[1]
    async with client_side(Published(mesh.identity(TRIAGE)), inbound, policy=policy) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(TUNNEL.replace(b"plain.tools.svc:8081", b"github.tools.svc:8080"))
            assert (await client.head())[0] == 200
            (connection,) = sidecar._listeners["forward"]._connections
            until_end = connection.deadline - sidecar.pipeline.clock()
            assert 3000 < until_end < 3700
            connection.deadline = sidecar.pipeline.clock()
            sidecar._ticker.expire_due()
            assert await asyncio.wait_for(client.reader.read(-1), 5) == b""
    server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


def hello(server_name: str) -> bytes:
    """A real ClientHello."""
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


OPEN = POLICY.replace("spec:\n  outbound:", "spec:\n  egress: allow\n  outbound:")


@pytest.mark.parametrize(
    ("policy", "host", "first", "reason"),
    [
        pytest.param(SECURE_DATABASE, "plain.tools.svc", b"password=hunter2", Reason.NOT_TLS, id="no TLS"),
        pytest.param(
            SECURE_DATABASE, "plain.tools.svc", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
            Reason.CLIENT_HELLO_MALFORMED, id="broken",
        ),
        pytest.param(SECURE_DATABASE, "plain.tools.svc", hello("plain.tools.svc"), None, id="its name"),
        pytest.param(
            SECURE_DATABASE, "plain.tools.svc", hello("other.cdn.example"),
            Reason.SERVER_NAME_MISMATCH, id="another name",
        ),
        pytest.param(OPEN, "a.cdn.example", hello("b.cdn.example"), None, id="undeclared to undeclared"),
        pytest.param(
            OPEN, "a.cdn.example", hello("plain.tools.svc"), Reason.SERVER_NAME_MISMATCH, id="to a declared one"
        ),
        pytest.param(OPEN, "a.cdn.example", b"EHLO x\r\n", None, id="no TLS to an undeclared one"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pieces", [1, 40])
async def test_tls_in_a_tunnel_is_to_whom_the_tunnel_leads(
    policy: str, host: str, first: bytes, reason: Reason | None, pieces: int
) -> None:
    async with serving(echo) as backend:
        async with sidecar_for(backend.port, policy=policy, limits=QUICK) as (sidecar, port):
            sidecar._dialer._connect[("a.cdn.example", 8081)] = ("127.0.0.1", backend.port)
            async with client_of(port) as client:
                await client.send(TUNNEL.replace(b"plain.tools.svc", host.encode()))
                assert (await client.head())[0] == 200
                step = -(-len(first) // pieces)
                told = b""
                with contextlib.suppress(ConnectionResetError):  # what is sent to one that has refused
                    for start in range(0, len(first), step):
                        await client.send(first[start : start + step])
                        await asyncio.sleep(0)
                    if reason is not None:
                        told = await asyncio.wait_for(client.reader.read(-1), 5)
                if reason is None:
                    assert await asyncio.wait_for(client.reader.readexactly(len(first)), 5) == first
                else:
                    assert told in (alert.refusal(reason), b"")
                    assert sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", reason)) == 1
