"""Two trust domains that federate: each recognises the other's workloads, and neither can issue for the other.

The second domain's server signs below a root of ours, so the test holds a key that the second domain's bundle
vouches for. With it, it signs what no SPIRE server would: identities of the first domain.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.spire import domain
from e2e.spire.domain import Domain
from e2e.spire.load import calling
from e2e.spire.pair import URL, client_side, server_side
from e2e.spire.workload import Sidecar
from mesh.identity.ca import Authority, make_authority
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.contexts import client_context, server_context
from sidecar.identity.provider import Identity

HERE, THERE = "here.test", "there.test"
SECONDS = 20
MESSAGE = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","arguments":{}}}'


@dataclass(frozen=True)
class Federation:
    here: Domain
    there: Domain
    root: Authority
    """The root of `there`, with its key."""

    def forged(self, name: str) -> Identity:
        """An identity of `here`, signed by the authority of `there`."""
        now = datetime.now(UTC)
        forger = Authority(HERE, self.root.certificate, self.root.key)
        svid = new_svid(forger, SpiffeId.parse(self.here.id(name)), now, timedelta(hours=1))
        return Identity(svid, {})

    def genuine(self, name: str) -> Identity:
        """An identity of `there` by the same key: what tells them apart is only the domain."""
        now = datetime.now(UTC)
        svid = new_svid(self.root, SpiffeId.parse(self.there.id(name)), now, timedelta(hours=1))
        return Identity(svid, {})


@pytest.fixture(scope="module")
def federation(spire: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    root = make_authority(THERE, datetime.now(UTC), timedelta(days=2))
    folder = tmp_path_factory.mktemp("f")
    with domain.running(HERE, folder) as here, domain.running(THERE, folder, root=root) as there:
        here.server.trust(there.server)
        there.server.trust(here.server)
        here.server.refresh(there.server)
        there.server.refresh(here.server)
        yield Federation(here, there, root)


@pytest.fixture(scope="module")
def server(federation: Federation, notes: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A server of `here` that lets in one caller of each domain."""
    here, there = federation.here, federation.there
    python = here.workload("notes", federated=(THERE,))
    folder = tmp_path_factory.mktemp("s") / "notes"
    callers = [here.id("agent"), there.id("agent")]
    with server_side(folder, python, here.agent.endpoint, notes, callers) as running:
        running.address("inbound")
        knows_both(running)
        yield running


def knows_both(side: Sidecar) -> None:
    """Wait until it has the bundles of both domains."""
    side.until(lambda: THERE in side.lines("identity")[-1]["trust_domains"] or None, "no federated bundle")


def refusal(side: Sidecar) -> dict[str, Any]:
    """The log's line about the handshake that was refused, once it is written."""

    def found() -> dict[str, Any] | None:
        lines = [line for line in side.lines("handshake") if line["reason"] == "peer_untrusted"]
        return lines[-1] if lines else None

    return side.until(found, "no refusal in the log")


def test_a_federated_workload_is_recognised(federation: Federation, server: Sidecar, tmp_path: Path) -> None:
    there = federation.there
    python = there.workload("agent", federated=(HERE,))
    inbound, expected = server.address("inbound"), federation.here.id("notes")
    with client_side(tmp_path / "agent", python, there.agent.endpoint, inbound, expected) as client:
        with calling(URL, f"http://{client.address('forward')}") as account:
            client.until(
                lambda: server.metric("outrider_requests_total", method="tools/call") > 9 or None, "calls"
            )
        assert account.failures == []
        assert account.calls > 0


async def test_a_federated_authority_cannot_make_a_client_of_our_domain(
    federation: Federation, server: Sidecar
) -> None:
    host, _, port = server.address("inbound").rpartition(":")
    before = server.metric("outrider_tls_handshakes_total", reason="peer_untrusted")
    assert await _answer(host, int(port), federation.genuine("agent")) != b""
    assert await _answer(host, int(port), federation.forged("agent")) == b""
    assert server.metric("outrider_tls_handshakes_total", reason="peer_untrusted") == before + 1
    refused = await asyncio.to_thread(refusal, server)
    assert federation.here.id("agent") in refused["detail"]
    assert f"does not chain to the bundle of {HERE}" in refused["detail"]


async def test_a_federated_authority_cannot_make_a_server_of_our_domain(
    federation: Federation, tmp_path: Path
) -> None:
    here = federation.here
    python = here.workload("caller", federated=(THERE,))
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            heard.append(await reader.read(1))
        writer.close()

    context = server_context(federation.forged("notes"))
    context.verify_mode = ssl.CERT_NONE
    impostor = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    address = "127.0.0.1:{1}".format(*impostor.sockets[0].getsockname())
    side = client_side(tmp_path / "caller", python, here.agent.endpoint, address, here.id("notes"))
    await asyncio.to_thread(side.start)
    try:
        host, _, port = (await asyncio.to_thread(side.address, "forward")).rpartition(":")
        await asyncio.to_thread(knows_both, side)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(_request(URL))
        async with asyncio.timeout(SECONDS):
            answer = await reader.readuntil(b"\r\n")
        writer.close()
        assert answer.split()[1] in (b"502", b"503")
        assert b"".join(heard) == b""
        refused = await asyncio.to_thread(refusal, side)
        assert f"does not chain to the bundle of {HERE}" in refused["detail"]
    finally:
        await asyncio.to_thread(side.end)
        impostor.close()


async def _answer(host: str, port: int, shown: Identity) -> bytes:
    """The first bytes of the answer to a tool call by who shows this identity; none when it was refused."""
    context = client_context(shown)
    context.verify_mode = ssl.CERT_NONE
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            writer.write(_request("/mcp"))
            return await reader.read(100)
        except OSError:
            return b""
        finally:
            writer.transport.abort()


def _request(target: str) -> bytes:
    fields = [
        f"POST {target} HTTP/1.1",
        "Host: localhost:8080",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"Content-Length: {len(MESSAGE)}",
    ]
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + MESSAGE
