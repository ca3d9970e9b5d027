"""Every row of the table in real handshakes: shown to our listener by a client, and to our client by a server.

The other side is the standard library's TLS, which verifies nothing and takes weak keys: it wants to get in.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.provider import Identity
from sidecar.proxy.tls import TlsRefused, mesh_client, mesh_server
from tests.support.bad_certificates import ROWS, Row
from tests.support.workshop import HOUR, OURS, Presented, Workshop

SECONDS = 60
by_name = pytest.mark.parametrize("row", [row for row in ROWS if row.in_tls], ids=lambda row: row.name)


class Ours(asyncio.Protocol):
    """What our side heard: the connection, or why there is none."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[SpiffeId | TlsRefused] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.outcome.set_result(transport.get_extra_info("peer_id"))
        transport.abort()

    def refused(self, why: TlsRefused) -> None:
        self.outcome.set_result(why)


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    """Made when the first test runs: what it makes is valid for an hour."""
    return Workshop()


def holder(workshop: Workshop) -> IdentityHolder:
    held = IdentityHolder()
    svid = new_svid(workshop.ours, SpiffeId(OURS, "/our/side"), workshop.now, HOUR)
    held.publish(Identity(svid, workshop.bundles))
    return held


def their_context(role: int, shown: Presented, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(role)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    file = folder / "shown.pem"
    key = shown.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes("".join(map(ssl.DER_cert_to_PEM_cert, shown.chain)).encode() + key)
    context.load_cert_chain(file)
    return context


@asynccontextmanager
async def accepting(workshop: Workshop, shown: Presented, folder: Path) -> AsyncIterator[Ours]:
    """Our listener, and a client that shows this."""
    loop = asyncio.get_running_loop()
    ours = Ours()
    listener = await loop.create_server(
        lambda: mesh_server(ours, holder(workshop), on_failure=ours.refused), "127.0.0.1", 0
    )
    context = their_context(ssl.PROTOCOL_TLS_CLIENT, shown, folder)
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(*listener.sockets[0].getsockname(), ssl=context)
        yield ours
        writer.transport.abort()
    listener.close()


@asynccontextmanager
async def dialling(workshop: Workshop, shown: Presented, folder: Path) -> AsyncIterator[Ours]:
    """Our client, and a server that shows this."""
    context = their_context(ssl.PROTOCOL_TLS_SERVER, shown, folder)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    ours = Ours()
    tls = mesh_client(ours, holder(workshop), on_failure=ours.refused)
    address = server.sockets[0].getsockname()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: tls, *address)
    yield ours
    transport.abort()
    server.close()


both_sides = pytest.mark.parametrize("side", [accepting, dialling], ids=["listener", "client"])


@both_sides
@by_name
async def test_a_flaw_is_refused_in_the_handshake(
    workshop: Workshop, side: Any, row: Row, tmp_path: Path
) -> None:
    async with asyncio.timeout(SECONDS), side(workshop, row.bad(workshop), tmp_path) as ours:
        refused = await ours.outcome
    assert isinstance(refused, TlsRefused)
    assert refused.reason is (row.handshake or row.reason)
    assert not refused.by_peer


@both_sides
@by_name
async def test_the_same_without_the_flaw_gets_in(
    workshop: Workshop, side: Any, row: Row, tmp_path: Path
) -> None:
    async with asyncio.timeout(SECONDS), side(workshop, row.good(workshop), tmp_path) as ours:
        assert isinstance(await ours.outcome, SpiffeId)
