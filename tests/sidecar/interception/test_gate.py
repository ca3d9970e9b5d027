"""Connections through the gate, over sockets, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh.protocol.tls.client_hello import ClientHello
from mesh.reasons import Reason
from sidecar.identity.refused import TlsRefused
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.declared import DeclaredHosts
from sidecar.interception.gate import HelloGate
from sidecar.interception.server import intercepting_server
from tests.support.client_hellos import real_hello

LOOPS = ("asyncio", "uvloop")
HOST = "a.example"
AUTHORITY = InterceptionAuthority(DeclaredHosts(frozenset({HOST})))
HELLO = real_hello(HOST)


class Next(asyncio.Protocol):
    """What comes after the gate; `rejects` closes at once, as a full listener does."""

    def __init__(self, *, rejects: bool = False) -> None:
        self.rejects = rejects
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.rejects:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.transport.write(b"answer")
        self.transport.close()


class Gated:
    """A listening gate, and what became of its connections."""

    def __init__(self, plain: Callable[[], asyncio.Protocol] | None, seconds: float) -> None:
        self.hellos: list[ClientHello] = []
        self.refusals: list[TlsRefused] = []
        self.told = asyncio.Event()
        self.arrived = asyncio.Event()
        self.lost = asyncio.Event()
        self.plain, self.seconds = plain, seconds
        self.next: asyncio.Protocol = Next()
        self.port = 0

    def accept(self) -> asyncio.Protocol:
        gated = self

        class Gate(HelloGate):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                gated.arrived.set()

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                gated.lost.set()

        return Gate(self.decide, self.refused, plain=self.plain, seconds=self.seconds)

    def decide(self, hello: ClientHello) -> asyncio.Protocol:
        self.hellos.append(hello)
        if hello.server_name != HOST:
            raise TlsRefused(Reason.EGRESS_DENIED, f"{hello.server_name} is not declared")
        return self.next

    def refused(self, refused: TlsRefused) -> None:
        self.refusals.append(refused)
        self.told.set()


@asynccontextmanager
async def gated(
    plain: Callable[[], asyncio.Protocol] | None = None, seconds: float = 10
) -> AsyncIterator[Gated]:
    gate = Gated(plain, seconds)
    listening = await asyncio.get_running_loop().create_server(gate.accept, "127.0.0.1", 0)
    gate.port = listening.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(10):
            yield gate
    finally:
        listening.close()
        await listening.wait_closed()


@asynccontextmanager
async def connected(gate: Gated) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_who_comes_next_gets_every_byte_that_was_read() -> None:
    async with gated() as gate, connected(gate) as (reader, writer):
        writer.write(HELLO[:100])
        await gate.arrived.wait()
        writer.write(HELLO[100:] + b"early")
        assert await reader.read() == b"answer"
        assert isinstance(gate.next, Next)
        assert gate.next.received == HELLO + b"early"
        assert gate.refusals == []


async def test_tls_is_ended_behind_the_gate_as_if_it_were_not_there() -> None:
    async with gated() as gate:
        inner = Next()
        gate.next = intercepting_server(inner, AUTHORITY, HOST)
        trusting = ssl.create_default_context(cadata=AUTHORITY.certificate_pem)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", gate.port, ssl=trusting, server_hostname=HOST
        )
        writer.write(b"question")
        assert await reader.read() == b"answer"
        assert inner.received == b"question"
        writer.close()
        await writer.wait_closed()


async def test_a_successor_that_closes_at_once_gets_no_data() -> None:
    async with gated() as gate, connected(gate) as (reader, writer):
        gate.next = Next(rejects=True)
        writer.write(HELLO)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        assert gate.next.received == b""


async def test_a_refused_client_reads_an_alert() -> None:
    async with gated() as gate:
        loop = asyncio.get_running_loop()
        alert = await loop.run_in_executor(None, error_of_client, gate.port, "b.example")
        assert alert == "TLSV1_ALERT_ACCESS_DENIED"
        assert [refused.reason for refused in gate.refusals] == [Reason.EGRESS_DENIED]


def error_of_client(port: int, name: str) -> str | None:
    context = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            context.wrap_socket(connection, server_hostname=name)
        except ssl.SSLError as error:
            return error.reason
    return None


@pytest.mark.parametrize(
    ("sent", "reason", "answer"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", Reason.NOT_TLS, b""),
        (real_hello("127.1"), Reason.SERVER_NAME_INVALID, bytes.fromhex("150303000202 2f")),
        (b"\x16\x03\x01\x00\x00", Reason.CLIENT_HELLO_MALFORMED, bytes.fromhex("1503030002 0232")),
    ],
    ids=["http", "numeric name", "empty record"],
)
async def test_what_is_no_legal_hello_is_refused(sent: bytes, reason: Reason, answer: bytes) -> None:
    async with gated() as gate, connected(gate) as (reader, writer):
        writer.write(sent)
        assert await reader.read() == answer
        assert [refused.reason for refused in gate.refusals] == [reason]


async def test_what_a_refused_client_goes_on_to_send_is_dropped_and_in_the_end_it_is_cut_off() -> None:
    async with gated() as gate, connected(gate) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await gate.told.wait()
        gate.arrived.clear()
        writer.write(HELLO)
        await gate.arrived.wait()
        await gate.lost.wait()
        assert (gate.hellos, len(gate.refusals)) == ([], 1)


async def test_plain_text_goes_to_whoever_takes_it() -> None:
    other = Next()
    async with gated(lambda: other) as gate, connected(gate) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b"answer"
        assert other.received == b"GET / HTTP/1.1\r\n\r\n"
        assert (gate.hellos, gate.refusals) == ([], [])


async def test_a_client_that_is_too_slow_is_cut_off() -> None:
    async with gated(seconds=0.02) as gate, connected(gate) as (reader, writer):
        writer.write(HELLO[:100])
        with contextlib.suppress(ConnectionError):
            await reader.read()
        await gate.told.wait()
        await gate.lost.wait()
        assert [refused.reason for refused in gate.refusals] == [Reason.HEAD_TIMEOUT]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("sent", "reasons"), [(b"", []), (HELLO[:100], [Reason.CLIENT_GONE])])
async def test_who_leaves_in_the_middle_is_reported_and_who_said_nothing_is_not(
    sent: bytes, reasons: list[Reason], reset: bool
) -> None:
    async with gated() as gate:
        loop = asyncio.get_running_loop()
        connection = socket.socket()
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", gate.port))
        await loop.sock_sendall(connection, sent)
        if sent:
            await gate.arrived.wait()
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        await gate.lost.wait()
        assert [refused.reason for refused in gate.refusals] == reasons
