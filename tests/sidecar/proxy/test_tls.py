"""TLS over real sockets on loopback, with certificates of our own authority, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mesh.identity.ca import Authority, make_authority
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.reasons import Reason
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.provider import Identity
from sidecar.proxy.tls import (
    TlsProtocol,
    TlsRefused,
    TlsTruncated,
    expect_identity,
    mesh_client,
    mesh_server,
    peer_chain,
    public_client,
    public_context,
)

Run = Callable[[Coroutine[Any, Any, None]], None]

HOUR = timedelta(hours=1)
AUTHORITY, STRANGER = (
    make_authority(name, datetime.now(UTC), 24 * HOUR) for name in ("a.example", "b.example")
)
SERVER, CLIENT = SpiffeId("a.example", "/server"), SpiffeId("a.example", "/client")
MEGABYTE = 1024 * 1024


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[request.param]

    def run(scenario: Coroutine[Any, Any, None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(60):
                await scenario

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(bounded())

    return run


def fresh_authority() -> Authority:
    """Another one of our name."""
    return make_authority("a.example", datetime.now(UTC), 2 * HOUR)


def identity(
    spiffe_id: SpiffeId, authority: Authority = AUTHORITY, trusted: tuple[Authority, ...] = (AUTHORITY,)
) -> Identity:
    svid = new_svid(authority, spiffe_id, datetime.now(UTC), HOUR)
    return Identity(svid, {each.trust_domain: each.bundle for each in trusted})


def holder(
    spiffe_id: SpiffeId, authority: Authority = AUTHORITY, trusted: tuple[Authority, ...] = (AUTHORITY,)
) -> IdentityHolder:
    held = IdentityHolder()
    held.publish(identity(spiffe_id, authority, trusted))
    return held


class Side(asyncio.Protocol):
    """Records what it is told."""

    def __init__(self) -> None:
        self.made, self.ended, self.paused, self.eof = (asyncio.Event() for _ in range(4))
        self.more = asyncio.Condition()
        self.received = bytearray()
        self.lost: Exception | None = None
        self.failure: TlsRefused | None = None
        self.stays_open = False
        self.changed = asyncio.Event()
        self.on_data: Callable[[bytes], None] = lambda data: None

    def connection_made(self, transport: Any) -> None:
        self.transport: TlsProtocol = transport
        self.made.set()
        self.changed.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.on_data(data)
        self.changed.set()

    def eof_received(self) -> bool:
        self.eof.set()
        return self.stays_open

    def pause_writing(self) -> None:
        self.paused.set()

    def resume_writing(self) -> None:
        self.paused.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        self.ended.set()
        self.changed.set()

    def failed(self, refused: TlsRefused) -> None:
        assert self.failure is None
        self.failure = refused
        self.ended.set()
        self.changed.set()

    async def got(self, size: int) -> bytes:
        while len(self.received) < size:
            self.changed.clear()
            assert not self.ended.is_set(), self.lost or self.failure
            await self.changed.wait()
        return bytes(self.received)


@dataclass
class Mesh:
    """A listener on loopback; `connect` dials it. Nothing may be left open in the end."""

    server_identity: IdentityHolder
    client_identity: IdentityHolder
    options: dict[str, Any] = field(default_factory=dict)
    sides: list[Side] = field(default_factory=list)
    accepted: asyncio.Queue[Side] = field(default_factory=asyncio.Queue)
    port: int = 0

    def accept(self) -> TlsProtocol:
        side = Side()
        self.sides.append(side)
        self.accepted.put_nowait(side)
        return mesh_server(side, self.server_identity, on_failure=side.failed, **self.options)

    async def connect(self, held: IdentityHolder | None = None, **options: Any) -> Side:
        side = Side()
        self.sides.append(side)
        tls = mesh_client(side, held or self.client_identity, on_failure=side.failed, **options)
        await asyncio.get_running_loop().create_connection(lambda: tls, "127.0.0.1", self.port)
        return side

    async def pair(self, held: IdentityHolder | None = None, **options: Any) -> tuple[Side, Side]:
        client = await self.connect(held, **options)
        server = await self.accepted.get()
        await server.changed.wait()
        await client.changed.wait()
        return server, client

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Side]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return reader, writer, await self.accepted.get()


@asynccontextmanager
async def mesh(
    server: IdentityHolder | None = None, client: IdentityHolder | None = None, **options: Any
) -> AsyncIterator[Mesh]:
    loop = asyncio.get_running_loop()
    made = Mesh(server or holder(SERVER), client or holder(CLIENT), options)
    listener = await loop.create_server(made.accept, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        for side in made.sides:
            if side.made.is_set():
                side.transport.abort()
                await side.ended.wait()


def test_both_sides_learn_who_the_other_is(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            assert server.transport.get_extra_info("peer_id") == CLIENT
            assert client.transport.get_extra_info("peer_id") == SERVER
            client.transport.write(b"ping")
            assert await server.got(4) == b"ping"
            server.transport.writelines([b"po", bytearray(b"n"), memoryview(b"g")])
            assert await client.got(4) == b"pong"

    run(scenario())


def test_the_transport_answers_what_is_asked_about_it(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            ask = client.transport.get_extra_info
            assert ask("peername") == ("127.0.0.1", made.port)
            assert ask("alpn") == "outrider/http/1.1"
            assert ask("ssl_object").version() == "TLSv1.3"
            assert ask("no such thing", "nothing") == "nothing"
            own = made.client_identity.current
            assert own is not None
            assert ask("svid_not_after") == own.svid.not_after
            assert ask("peer_not_after") == server.transport.get_extra_info("svid_not_after")
            assert ask("deadline") == min(ask("svid_not_after"), ask("peer_not_after"))
            assert client.transport.get_protocol() is client
            assert not client.transport.is_closing()
            client.transport.set_write_buffer_limits(high=4096, low=1024)
            assert client.transport.get_write_buffer_limits() == (1024, 4096)
            client.transport.close()
            await client.ended.wait()
            assert ask("peer_id") == SERVER
            assert ask("ssl_object") is None

    run(scenario())


def test_another_inner_protocol_can_take_over(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            successor = Side()
            server.transport.set_protocol(successor)
            client.transport.write(b"for the successor")
            assert await successor.got(17) == b"for the successor"
            assert server.received == b""
            server.transport.set_protocol(server)

    run(scenario())


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (lambda: holder(CLIENT, trusted=(STRANGER,)), Reason.PEER_UNTRUSTED),
        (lambda: holder(CLIENT, fresh_authority(), (fresh_authority(),)), Reason.PEER_UNTRUSTED),
    ],
)
def test_a_client_refuses_a_server_it_does_not_trust(
    run: Run, client: Callable[[], IdentityHolder], reason: Reason
) -> None:
    async def scenario() -> None:
        async with mesh(client=client()) as made:
            server, dialled = await made.pair()
            assert dialled.failure is not None
            assert dialled.failure.reason is reason
            assert not dialled.failure.by_peer
            assert server.failure is not None
            assert server.failure.reason is Reason.TLS_HANDSHAKE
            assert server.failure.by_peer
            assert "does not trust the authority" in server.failure.detail
            assert not dialled.made.is_set()
            assert not server.made.is_set()

    run(scenario())


def test_a_client_of_another_trust_domain_is_refused_and_told_so(run: Run) -> None:
    stranger = holder(SpiffeId("b.example", "/x"), STRANGER, (AUTHORITY, STRANGER))

    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair(stranger)
            await client.ended.wait()
            assert server.failure is not None
            assert server.failure.reason is Reason.PEER_UNTRUSTED
            # In TLS 1.3 the client's side of the handshake is over before the server looks at its certificate.
            assert client.made.is_set()
            assert isinstance(client.lost, TlsRefused)
            assert client.lost.by_peer
            assert "does not trust the authority of our certificate" in client.lost.detail
            assert not server.made.is_set()

    run(scenario())


def test_federated_trust_domains_recognise_each_other(run: Run) -> None:
    far = SpiffeId("b.example", "/x")

    async def scenario() -> None:
        async with mesh(holder(SERVER, trusted=(AUTHORITY, STRANGER))) as made:
            server, client = await made.pair(holder(far, STRANGER, (AUTHORITY, STRANGER)))
            assert server.transport.get_extra_info("peer_id") == far
            assert client.transport.get_extra_info("peer_id") == SERVER

    run(scenario())


def test_a_federated_trust_domain_cannot_impersonate_ours(run: Run) -> None:
    """The handshake itself succeeds, since both authorities are in the store; the identity is what fails."""
    forger = Authority("a.example", STRANGER.certificate, STRANGER.key)

    async def scenario() -> None:
        async with mesh(holder(SERVER, trusted=(AUTHORITY, STRANGER))) as made:
            server, client = await made.pair(holder(CLIENT, forger))
            client_saw_the_end = client.ended.wait()
            await client_saw_the_end
            assert server.failure is not None
            assert server.failure.reason is Reason.PEER_UNTRUSTED
            assert str(CLIENT) in server.failure.detail
            assert not server.made.is_set()
            assert isinstance(client.lost, TlsTruncated)
            assert "may have refused us" in str(client.lost)

    run(scenario())


def test_a_server_with_another_identity_than_expected_gets_no_byte(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair(authorize=expect_identity(SpiffeId("a.example", "/other")))
            await server.ended.wait()
            assert client.failure is not None
            assert client.failure.reason is Reason.PEER_WRONG_IDENTITY
            assert client.failure.detail == f"the peer is {SERVER}, expected spiffe://a.example/other"
            assert not client.made.is_set()
            assert server.received == b""
            assert isinstance(server.lost, TlsTruncated)

    run(scenario())


def test_the_expected_identity_is_let_in_on_both_sides(run: Run) -> None:
    async def scenario() -> None:
        async with mesh(authorize=expect_identity(CLIENT)) as made:
            server, client = await made.pair(authorize=expect_identity(SERVER))
            assert server.made.is_set()
            assert client.made.is_set()

    run(scenario())


def test_a_client_without_certificate_is_refused(run: Run) -> None:
    async def scenario() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=AUTHORITY.der)
        async with mesh() as made:
            side = Side()
            tls = TlsProtocol(side, context, server_side=False, on_failure=side.failed)
            await asyncio.get_running_loop().create_connection(lambda: tls, "127.0.0.1", made.port)
            server = await made.accepted.get()
            await server.ended.wait()
            await side.ended.wait()
            assert server.failure is not None
            assert server.failure.reason is Reason.PEER_NO_CERTIFICATE
            assert isinstance(side.lost, TlsRefused)
            assert "it wants a certificate and got none" in side.lost.detail

    run(scenario())


@pytest.mark.parametrize(("start", "lifetime"), [(-2 * HOUR, HOUR), (2 * HOUR, HOUR)])
def test_a_peer_whose_svid_is_not_valid_now_is_refused(
    run: Run, start: timedelta, lifetime: timedelta
) -> None:
    now = datetime.now(UTC)
    lasting = make_authority("a.example", now - 5 * HOUR, 20 * HOUR)
    client, server = IdentityHolder(clock=lambda: now + start), IdentityHolder()
    client.publish(Identity(new_svid(lasting, CLIENT, now + start, lifetime), {"a.example": lasting.bundle}))
    server.publish(
        Identity(new_svid(lasting, SERVER, now - 5 * HOUR, 20 * HOUR), {"a.example": lasting.bundle})
    )

    async def scenario() -> None:
        async with mesh(server) as made:
            accepted, dialled = await made.pair(client)
            await accepted.ended.wait()
            await dialled.ended.wait()
            assert isinstance(dialled.lost, TlsRefused)
            assert dialled.lost.by_peer
            assert accepted.failure is not None
            assert accepted.failure.reason is Reason.PEER_EXPIRED

    run(scenario())


def test_without_an_svid_nothing_is_accepted_or_dialled() -> None:
    for make in (mesh_server, mesh_client):
        with pytest.raises(TlsRefused) as refused:
            make(asyncio.Protocol(), IdentityHolder())
        assert refused.value.reason is Reason.NO_SVID


def test_an_identity_that_expires_during_the_handshake_ends_it(run: Run) -> None:
    async def scenario() -> None:
        time = [datetime.now(UTC)]
        server = IdentityHolder(clock=lambda: time[0])
        server.publish(identity(SERVER))
        async with mesh(server) as made:
            _, writer, side = await made.raw()
            time[0] += 2 * HOUR
            tls = mesh_client(Side(), made.client_identity)
            writer.transport.set_protocol(tls)
            tls.connection_made(writer.transport)
            await side.ended.wait()
            assert side.failure is not None
            assert side.failure.reason is Reason.SVID_EXPIRED
            writer.transport.abort()

    run(scenario())


def test_a_client_of_tls_1_2_is_refused(run: Run) -> None:
    async def scenario() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with mesh() as made:
            side = Side()
            tls = TlsProtocol(side, context, server_side=False, on_failure=side.failed)
            await asyncio.get_running_loop().create_connection(lambda: tls, "127.0.0.1", made.port)
            server = await made.accepted.get()
            await server.ended.wait()
            await side.ended.wait()
            assert server.failure is not None
            assert server.failure.reason is Reason.TLS_HANDSHAKE
            assert "does not speak TLS 1.3" in server.failure.detail
            assert side.failure is not None
            assert side.failure.by_peer

    run(scenario())


def test_old_connections_go_on_after_a_rotation_and_new_ones_use_the_new_svid(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            old = client.transport.get_extra_info("ssl_object").getpeercert(True)
            made.server_identity.publish(identity(SERVER))
            client.transport.write(b"still here")
            assert await server.got(10) == b"still here"
            _, again = await made.pair()
            assert again.transport.get_extra_info("ssl_object").getpeercert(True) != old

    run(scenario())


def test_a_removed_authority_is_refused_from_the_next_handshake_on(run: Run) -> None:
    fresh = fresh_authority()

    async def scenario() -> None:
        async with mesh() as made:
            await made.pair()
            made.server_identity.publish(identity(SERVER, trusted=(fresh,)))
            server, client = await made.pair()
            await client.ended.wait()
            assert server.failure is not None
            assert server.failure.reason is Reason.PEER_UNTRUSTED

    run(scenario())


def test_an_authority_removed_during_the_handshake_is_refused(run: Run) -> None:
    fresh = fresh_authority()

    async def scenario() -> None:
        async with mesh() as made:
            _, writer, side = await made.raw()
            made.server_identity.publish(identity(SERVER, trusted=(fresh,)))
            client = Side()
            tls = mesh_client(client, made.client_identity)
            writer.transport.set_protocol(tls)
            tls.connection_made(writer.transport)
            await side.ended.wait()
            assert side.failure is not None
            assert side.failure.reason is Reason.PEER_UNTRUSTED
            writer.transport.abort()
            await client.ended.wait()

    run(scenario())


@pytest.mark.parametrize("size", [1, 16 * 1024, 16 * 1024 + 1, 5 * MEGABYTE])
def test_data_of_any_size_arrives_whole_in_both_directions(run: Run, size: int) -> None:
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)

    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            server.on_data = server.transport.write
            client.transport.write(message)
            assert await client.got(size) == message
            assert bytes(server.received) == message

    run(scenario())


def test_many_small_writes_in_one_go_arrive_in_order(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            for number in range(1000):
                client.transport.write(b"%04d" % number)
            assert await server.got(4000) == b"".join(b"%04d" % number for number in range(1000))

    run(scenario())


def test_an_empty_write_sends_nothing(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            client.transport.write(b"")
            client.transport.write(b"x")
            assert await server.got(1) == b"x"

    run(scenario())


def test_a_reader_that_pauses_makes_the_writer_pause(run: Run) -> None:
    message = b"x" * (16 * MEGABYTE)

    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            server.transport.pause_reading()
            server.transport.pause_reading()
            assert not server.transport.is_reading()
            client.transport.write(message)
            await client.paused.wait()
            assert client.transport.get_write_buffer_size() > 0
            assert len(server.received) == 0
            server.transport.resume_reading()
            server.transport.resume_reading()
            assert server.transport.is_reading()
            assert await server.got(len(message)) == message
            assert not client.paused.is_set()

    run(scenario())


def test_a_reader_may_pause_after_each_delivery(run: Run) -> None:
    size = 2 * MEGABYTE

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with mesh() as made:
            server, client = await made.pair()

            def pause_a_moment(data: bytes) -> None:
                server.transport.pause_reading()
                loop.call_soon(server.transport.resume_reading)

            server.on_data = pause_a_moment
            client.transport.write(bytes(size))
            client.transport.close()
            assert await server.got(size) == bytes(size)
            await server.ended.wait()
            assert server.lost is None

    run(scenario())


def test_what_arrived_before_the_close_is_delivered_first(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            client.transport.write(b"last words")
            client.transport.close()
            await server.ended.wait()
            assert server.received == b"last words"
            assert server.eof.is_set()
            assert server.lost is None
            await client.ended.wait()
            assert client.lost is None
            client.transport.close()
            client.transport.write(b"too late")
            assert client.transport.is_closing()

    run(scenario())


def test_a_half_closed_connection_still_carries_the_answer(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            server.stays_open = True
            assert client.transport.can_write_eof()
            client.transport.write(b"question")
            client.transport.write_eof()
            client.transport.write_eof()
            with pytest.raises(RuntimeError, match="after write_eof"):
                client.transport.write(b"more")
            await server.eof.wait()
            assert server.received == b"question"
            server.transport.write(b"answer")
            assert await client.got(6) == b"answer"
            server.transport.close()
            await client.ended.wait()
            assert client.lost is None
            await server.ended.wait()
            assert server.lost is None

    run(scenario())


def test_half_closing_loses_nothing_that_is_still_unread(run: Run) -> None:
    message = bytes(3 * MEGABYTE)

    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            server.stays_open = True
            client.on_data = lambda data: client.transport.pause_reading()
            server.transport.write(message)
            await client.got(1)
            client.transport.write_eof()
            await server.eof.wait()
            client.on_data = lambda data: None
            client.transport.resume_reading()
            assert await client.got(len(message)) == message
            server.transport.write(b"end")
            server.transport.close()
            await client.ended.wait()
            assert client.received.endswith(b"end")

    run(scenario())


def test_an_end_without_close_notify_is_no_orderly_end(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            server.transport.write(b"half of a bo")
            await client.got(12)
            server.transport.abort()
            await client.ended.wait()
            assert isinstance(client.lost, ConnectionError)
            assert not client.eof.is_set()

    run(scenario())


def test_a_bare_fin_is_reported_as_truncation(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            server.transport.write(b"half of a bo")
            server.transport._transport.write_eof()
            await client.ended.wait()
            assert client.received == b"half of a bo"
            assert isinstance(client.lost, TlsTruncated)
            assert "without close_notify" in str(client.lost)
            assert not client.eof.is_set()

    run(scenario())


def test_a_record_that_was_tampered_with_ends_the_connection(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            client.transport._transport.write(b"\x17\x03\x03\x00\x20" + bytes(32))
            await server.ended.wait()
            await client.ended.wait()
            assert isinstance(server.lost, TlsRefused)
            assert server.lost.reason is Reason.TLS_HANDSHAKE
            assert isinstance(client.lost, TlsRefused)
            assert client.lost.by_peer

    run(scenario())


def test_tampering_behind_a_stuck_reader_still_ends_the_connection(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            server, client = await made.pair()
            client.transport.pause_reading()
            server.transport.write(bytes(16 * MEGABYTE))
            await server.paused.wait()
            client.transport._transport.write(b"\x17\x03\x03\x00\x20" + bytes(32))
            await server.ended.wait()
            assert isinstance(server.lost, TlsRefused)

    run(scenario())


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "plain HTTP request"),
        (b"CONNECT x:443 HTTP/1.1\r\n\r\n", "plain CONNECT request"),
        (b"\x00\x01\x02\x03" * 100, "does not speak TLS"),
        (b"\xff" * (256 * 1024), "does not speak TLS"),
    ],
)
def test_what_is_no_client_hello_is_refused(run: Run, sent: bytes, detail: str) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            reader, writer, side = await made.raw()
            writer.write(sent)
            await side.ended.wait()
            assert side.failure is not None
            assert side.failure.reason is Reason.TLS_HANDSHAKE
            assert detail in side.failure.detail
            assert (await reader.read())[:1] in (b"\x15", b"")
            writer.close()

    run(scenario())


def test_a_handshake_that_takes_too_long_is_ended(run: Run) -> None:
    async def scenario() -> None:
        async with mesh(handshake_seconds=0.02) as made:
            reader, writer, side = await made.raw()
            writer.write(b"\x16\x03\x01")
            await side.ended.wait()
            assert side.failure is not None
            assert side.failure.detail == "the handshake took longer than 0.02 s"
            assert await reader.read() == b""
            writer.close()

    run(scenario())


def test_an_opened_connection_outlives_the_handshake_timeout(run: Run) -> None:
    async def scenario() -> None:
        async with mesh(handshake_seconds=0.2) as made:
            server, client = await made.pair(handshake_seconds=0.2)
            later = asyncio.Event()
            asyncio.get_running_loop().call_later(0.25, later.set)
            await later.wait()
            client.transport.write(b"x")
            assert await server.got(1) == b"x"

    run(scenario())


def test_a_peer_that_leaves_during_the_handshake_is_reported(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            _, writer, side = await made.raw()
            writer.write(b"\x16\x03\x01")
            writer.close()
            await side.ended.wait()
            await writer.wait_closed()
            assert side.failure is not None
            assert side.failure.by_peer
            assert "went away during the handshake" in side.failure.detail

    run(scenario())


def test_a_reset_during_the_handshake_is_reported(run: Run) -> None:
    async def scenario() -> None:
        side = Side()
        tls = mesh_server(side, holder(SERVER), on_failure=side.failed)
        reader_side, other = await _plain_pair(tls)
        tls.connection_lost(ConnectionResetError("reset by peer"))
        assert side.failure is not None
        assert side.failure.by_peer
        assert "reset by peer" in side.failure.detail
        reader_side.transport.set_protocol(asyncio.Protocol())
        reader_side.transport.abort()
        other.close()

    run(scenario())


@pytest.mark.parametrize("end", ["close", "abort"])
def test_closing_during_the_handshake_tells_whoever_waits(run: Run, end: str) -> None:
    async def scenario() -> None:
        side = Side()
        tls = mesh_server(side, holder(SERVER), on_failure=side.failed)
        _, other = await _plain_pair(tls)
        getattr(tls, end)()
        await side.ended.wait()
        assert side.failure is not None
        assert not side.failure.by_peer
        assert "connection was closed" in side.failure.detail
        assert tls.is_closing()
        assert tls.deadline is None
        other.close()

    run(scenario())


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16"])
def test_a_failure_nobody_asked_about_is_still_survived(run: Run, sent: bytes) -> None:
    async def scenario() -> None:
        accepted, other = await _plain_pair(mesh_server(Side(), holder(SERVER)))
        other.write(sent)
        other.close()
        await accepted.gone
        await other.wait_closed()

    run(scenario())


def test_the_chain_of_the_peer_is_read_by_the_public_name_where_there_is_one() -> None:
    class NewerPython:
        def get_unverified_chain(self) -> list[bytes]:
            return [b"leaf", b"intermediate"]

    newer: Any = NewerPython()
    assert peer_chain(newer) == [b"leaf", b"intermediate"]


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [
        ("localhost", True, None),
        ("127.0.0.1", True, None),
        ("other.example", True, Reason.PEER_WRONG_IDENTITY),
        ("127.0.0.2", True, Reason.PEER_WRONG_IDENTITY),
        ("localhost", False, Reason.PEER_UNTRUSTED),
    ],
)
def test_public_servers_are_verified_by_their_name(
    run: Run, tmp_path: Path, host: str, trusted: bool, reason: Reason | None
) -> None:
    web, server_context = public_server(tmp_path)
    context = public_context(str(web)) if trusted else public_context()

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        sides: list[Side] = []

        def accept() -> TlsProtocol:
            sides.append(Side())
            return TlsProtocol(sides[-1], server_context, server_side=True, on_failure=sides[-1].failed)

        listener = await loop.create_server(accept, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        side = Side()
        tls = public_client(side, context, host, on_failure=side.failed)
        await loop.create_connection(lambda: tls, "127.0.0.1", port)
        await side.changed.wait()
        if reason is None:
            assert side.made.is_set()
            assert tls.get_extra_info("peer_id") is None
            assert tls.get_extra_info("alpn") == "http/1.1"
            assert tls.deadline is None
            tls.close()
        else:
            assert side.failure is not None
            assert side.failure.reason is reason
        await side.ended.wait()
        await sides[0].ended.wait()
        listener.close()

    run(scenario())


@pytest.mark.parametrize("host", ["", ".example", "a" * 300 + ".example", "a\0b"])
def test_what_cannot_be_a_host_name_is_refused_before_dialling(host: str) -> None:
    with pytest.raises(TlsRefused) as refused:
        public_client(asyncio.Protocol(), public_context(), host)
    assert refused.value.reason is Reason.TLS_HANDSHAKE
    assert "cannot be a server's name" in refused.value.detail


def test_a_write_that_openssl_refuses_ends_the_connection(run: Run) -> None:
    async def scenario() -> None:
        async with mesh() as made:
            _, client = await made.pair()
            with contextlib.suppress(ssl.SSLWantReadError):
                client.transport.get_extra_info("ssl_object").unwrap()
            client.transport.write(b"x")
            await client.ended.wait()
            assert isinstance(client.lost, TlsRefused)
            client.transport.resume_reading()
            client.transport.pause_reading()

    run(scenario())


class _Accepted(asyncio.Protocol):
    """Passes everything to a TlsProtocol and tells when the connection is gone."""

    def __init__(self, tls: TlsProtocol) -> None:
        self.tls = tls
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.tls.connection_made(transport)
        self.ready.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.tls.data_received(data)

    def eof_received(self) -> bool | None:
        return self.tls.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.tls.connection_lost(exc)
        self.gone.set_result(None)


async def _plain_pair(tls: TlsProtocol) -> tuple[_Accepted, asyncio.StreamWriter]:
    """`tls` accepts a connection whose other end we hold in plain."""
    accepted = _Accepted(tls)
    listener = await asyncio.get_running_loop().create_server(lambda: accepted, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    await accepted.ready
    listener.close()
    return accepted, writer


def public_server(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for localhost: the file that trusts it, and a context that serves it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - HOUR)
        .not_valid_after(datetime.now(UTC) + HOUR)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "web.pem", folder / "web.key"
    public.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(public, private)
    return public, context
