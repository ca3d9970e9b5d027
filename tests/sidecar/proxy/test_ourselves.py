"""No connection leads from a sidecar into itself, however its address is spelt."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mesh.reasons import Reason
from sidecar.identity.holder import IdentityHolder
from sidecar.proxy.dial import NetworkDialer
from sidecar.proxy.ourselves import Guard, Ourselves
from sidecar.proxy.pool import ConnectFailed, Destination
from tests.support.fakes import FakeTransport, settled

LOOPS = ("asyncio", "uvloop")


def own(*bound: str, port: int = 15443) -> Ourselves:
    found = Ourselves()
    for host in bound:
        found.add((host, port), (host, port))
    return found


@pytest.mark.parametrize(
    ("bound", "peer", "local", "ours"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", "127.0.0.1", False),
        ("127.0.0.1", "::ffff:127.0.0.1", "::ffff:127.0.0.1", True),
        ("10.0.0.7", "10.0.0.7", "10.0.0.7", True),
        ("10.0.0.7", "10.0.0.8", "10.0.0.7", False),
        ("0.0.0.0", "10.0.0.7", "127.0.0.1", True),
        ("::", "2001:db8::7", "::1", True),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.2", "127.0.0.1", True),
        ("0.0.0.0", "10.0.0.7", "10.0.0.7", True),
        ("0.0.0.0", "10.0.0.8", "10.0.0.7", False),
        ("::", "::1", "::1", True),
        ("::", "2001:db8::7", "2001:db8::7", True),
        ("::", "2001:db8::8", "2001:db8::7", False),
        ("::", "::ffff:10.0.0.7", "::ffff:10.0.0.7", True),
        ("localhost", "::1", "::1", True),
        ("localhost", "127.0.0.1", "127.0.0.1", True),
        ("localhost", "10.0.0.7", "10.0.0.7", False),
    ],
)
def test_it_is_ourselves_who_answers_where_a_listener_is_bound(
    bound: str, peer: str, local: str, ours: bool
) -> None:
    assert own(bound).reached((peer, 15443), (local, 50000)) is ours


def test_another_port_is_never_ours() -> None:
    assert not own("0.0.0.0").listens_on(15444)
    assert not own("0.0.0.0").reached(("127.0.0.1", 15444), ("127.0.0.1", 50000))


def test_of_a_name_with_any_free_port_only_the_bound_address_is_known() -> None:
    found = Ourselves()
    found.add(("localhost", 0), ("127.0.0.1", 40000))
    assert found.reached(("127.0.0.1", 40000), ("127.0.0.1", 50000))
    assert not found.reached(("::1", 40000), ("::1", 50000))
    assert not found.listens_on(0)


class Recorded(asyncio.Protocol):
    """What the protocol behind a guard hears."""

    def __init__(self) -> None:
        self.made: list[object] = []
        self.received = bytearray()
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.append(transport)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


class Nameless(FakeTransport):
    """A transport whose connection has ended: the kernel no longer knows its names."""

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol


async def test_a_connection_that_is_gone_already_is_handed_on() -> None:
    inner = Recorded()
    guard = Guard(inner, own("127.0.0.1"))
    transport = Nameless(guard)
    guard.connection_made(transport)
    assert inner.made == [transport]
    assert transport.protocol is inner
    assert not guard.refused


def dialer(found: Ourselves, **connect: str) -> NetworkDialer:
    return NetworkDialer(IdentityHolder(), connect=connect, own=found)


async def listener(host: str) -> tuple[asyncio.Server, int]:
    """Says `hello` to whoever connects."""

    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, host, 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.0.0.2", "0.0.0.0"])
async def test_a_dial_that_reaches_a_wildcard_listener_of_ours_is_refused_unseen(name: str) -> None:
    server, port = await listener("0.0.0.0")
    async with server:
        found, inner = Ourselves(), Recorded()
        found.add(("0.0.0.0", 0), ("0.0.0.0", port))
        with pytest.raises(ConnectFailed, match="the sidecar itself") as caught:
            await dialer(found).dial(Destination(name, port), inner)
        await settled()
    assert caught.value.reason is Reason.UPSTREAM_UNREACHABLE
    assert inner.made == []


async def test_a_name_that_is_connected_to_ourselves_is_refused() -> None:
    server, port = await listener("127.0.0.1")
    async with server:
        made = NetworkDialer(
            IdentityHolder(),
            connect={"agent.svc:80": f"localhost:{port}", "[2001:db8::1]:80": f"127.0.0.1:{port}"},
            own=own("127.0.0.1", port=port),
        )
        for host in ("agent.svc", "2001:db8::1"):
            with pytest.raises(ConnectFailed, match="the sidecar itself"):
                await made.dial(Destination(host, 80), Recorded())
        await settled()


async def test_the_machines_own_address_is_ourselves_too() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; only chooses a source address
        except OSError:
            pytest.skip("no address besides loopback")
        address = probe.getsockname()[0]
    server, port = await listener("0.0.0.0")
    async with server:
        with pytest.raises(ConnectFailed, match="the sidecar itself"):
            await dialer(own("0.0.0.0", port=port)).dial(Destination(address, port), Recorded())


async def test_another_process_on_our_port_at_another_address_is_reached() -> None:
    server, port = await listener("127.0.0.2")
    async with server:
        inner = Recorded()
        await dialer(own("127.0.0.1", port=port)).dial(Destination("127.0.0.2", port), inner)
        assert len(inner.made) == 1
        await asyncio.wait_for(inner.ended.wait(), 5)
    assert inner.received == b"hello"


async def test_another_sidecar_on_this_machine_is_reached() -> None:
    server, port = await listener("127.0.0.1")
    async with server:
        inner = Recorded()
        await dialer(own("0.0.0.0", port=port - 1)).dial(Destination("localhost", port), inner)
        await asyncio.wait_for(inner.ended.wait(), 5)
    assert inner.received == b"hello"
