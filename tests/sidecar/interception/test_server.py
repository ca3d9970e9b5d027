"""Clients of every temper against an intercepted connection: what the log will say of each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.reasons import Reason
from sidecar.identity.refused import TlsRefused
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.declared import DeclaredHosts
from sidecar.interception.not_trusted import explain_client
from sidecar.interception.server import intercepting_server
from tests.support.intercepting import Intercepted, intercepted

LOOPS = ("asyncio", "uvloop")
HOST = "a.example"
AUTHORITY = InterceptionAuthority(DeclaredHosts(frozenset({HOST})))


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=AUTHORITY.certificate_pem)


class Client:
    """TLS by hand, so that every byte leaves when it should: event loops drop the alert of a failed handshake."""

    def __init__(
        self, context: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader, self.writer = reader, writer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=HOST)

    async def handshake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(await self.reader.read(65536))
                continue
            finally:
                self.flush()
            await self.writer.drain()
            return

    def flush(self) -> None:
        self.writer.write(self.outgoing.read())

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def connected(server: Intercepted, context: ssl.SSLContext) -> AsyncIterator[Client]:
    client = Client(context, *await asyncio.open_connection("127.0.0.1", server.port))
    try:
        yield client
    finally:
        await client.close()


async def told(server: Intercepted) -> None:
    await asyncio.wait_for(server.told.wait(), 5)


async def test_a_client_that_trusts_us_is_served_and_nothing_is_reported() -> None:
    async with intercepted(AUTHORITY, HOST) as server, connected(server, trusting()) as client:
        await client.handshake()
        client.tls.write(b"GET / HTTP/1.1\r\n\r\n")
        client.flush()
        client.incoming.write(await client.reader.read())
        assert client.tls.read().endswith(b"this is a.example")
        assert server.spoken == [("TLSv1.3", None)]
        assert (server.failures, server.silences) == ([], [])


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_that_does_not_trust_us_is_told_apart_and_named(most: ssl.TLSVersion) -> None:
    stranger = ssl.create_default_context()
    stranger.maximum_version = most
    async with intercepted(AUTHORITY, HOST) as server, connected(server, stranger) as client:
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.handshake()
        await told(server)
        (refused,) = server.failures
    assert refused.reason is Reason.INTERCEPTION_NOT_TRUSTED
    assert refused.by_peer
    assert "does not trust the interception CA for a.example (alert unknown_ca)" in refused.detail


async def test_a_refusal_is_reported_though_the_client_is_gone_with_it() -> None:
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, object]] = []
    loop.set_exception_handler(lambda loop, context: complaints.append(context))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    async with intercepted(AUTHORITY, HOST) as server:
        connection = socket.socket()
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", server.port))
        await loop.sock_sendall(connection, outgoing.read())
        incoming.write(await loop.sock_recv(connection, 65536))
        with pytest.raises(ssl.SSLCertVerificationError):
            client.do_handshake()
        connection.send(outgoing.read())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        await told(server)
    assert "alert unknown_ca" in server.failures[0].detail
    assert complaints == []


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_hangs_up_on_our_certificate_is_suspected_of_distrust(reset: bool) -> None:
    async with intercepted(AUTHORITY, HOST) as server, connected(server, trusting()) as client:
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.do_handshake()
        client.flush()
        await client.reader.read(1)
        if reset:
            connection = client.writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.close()
        await told(server)
        (refused,) = server.failures
    assert refused.reason is Reason.INTERCEPTION_NOT_TRUSTED
    assert "hung up during the handshake for a.example" in refused.detail


@pytest.mark.parametrize("says_goodbye", [False, True])
async def test_a_client_that_closes_right_after_the_handshake_is_suspected_too(says_goodbye: bool) -> None:
    async with intercepted(AUTHORITY, HOST) as server, connected(server, trusting()) as client:
        await client.handshake()
        if says_goodbye:
            with contextlib.suppress(ssl.SSLError):
                client.tls.unwrap()
            client.flush()
        await client.close()
        await told(server)
        (silent,) = server.silences
        assert server.failures == []
    assert silent.reason is Reason.INTERCEPTION_NOT_TRUSTED
    assert "without a request" in silent.detail


async def test_a_connection_that_we_close_unused_says_nothing_of_trust() -> None:
    async with intercepted(AUTHORITY, HOST) as server, connected(server, trusting()) as client:
        await client.handshake()
        while not server.transports:
            await asyncio.sleep(0)
        server.transports[0].close()
        await client.reader.read()
        assert (server.failures, server.silences) == ([], [])


async def test_a_handshake_that_takes_too_long_is_no_distrust() -> None:
    failures: list[TlsRefused] = []
    tls = intercepting_server(
        asyncio.Protocol(), AUTHORITY, HOST, on_failure=failures.append, handshake_seconds=0.01
    )
    listening = await asyncio.get_running_loop().create_server(lambda: tls, "127.0.0.1", 0)
    async with listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
    (refused,) = failures
    assert refused.reason is Reason.TLS_HANDSHAKE


@pytest.mark.parametrize(
    ("name", "reason", "says"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", Reason.INTERCEPTION_NOT_TRUSTED, "alert unknown_ca"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", Reason.INTERCEPTION_NOT_TRUSTED, "alert bad_certificate"),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", Reason.INTERCEPTION_NOT_TRUSTED, "SSL_CERT_FILE"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Reason.INTERCEPTION_NOT_TRUSTED, "restart the pod"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", Reason.TLS_HANDSHAKE, "the peer refused us"),
        ("UNSUPPORTED_PROTOCOL", Reason.TLS_HANDSHAKE, "TLS 1.2"),
        ("NO_SHARED_CIPHER", Reason.TLS_HANDSHAKE, "ECDSA"),
        ("HTTP_REQUEST", Reason.TLS_HANDSHAKE, "plain HTTP"),
        ("SOMETHING_NEW", Reason.TLS_HANDSHAKE, "SOMETHING_NEW"),
        (None, Reason.TLS_HANDSHAKE, "failed"),
    ],
)
def test_each_error_of_openssl_has_its_sentence(name: str | None, reason: Reason, says: str) -> None:
    error = ssl.SSLError(1, "text")
    error.reason = name  # type: ignore[assignment]
    refused = explain_client(error, HOST)
    assert refused.reason is reason
    assert says in refused.detail
