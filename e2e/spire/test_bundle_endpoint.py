"""Our bundle endpoint and our client of bundles, each against SPIRE's other end, by the profile https_spiffe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from e2e.spire.binaries import Binaries
from e2e.spire.node import Node
from e2e.spire.server import Lifetimes, Server
from mesh.identity.bundle_document import bundle_to_object, read_bundle_document
from mesh.identity.issue import new_svid
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, write_pem
from mesh.identity.spiffe_id import SpiffeId
from webhook.admission.serving_tls import SwitchedCertificate
from webhook.cluster.pace import Pace
from webhook.identity.authorities import InMemory
from webhook.identity.federation.client import Federation
from webhook.identity.federation.endpoint import federation_application
from webhook.identity.federation.peers import Peer, Profile
from webhook.timed_site import TimedSite

OURS, THEIRS = "ours.test", "theirs.test"
CONTROL = SpiffeId(OURS, "/ns/outrider-system/sa/outrider-webhook")


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def endpoint(keys: InMemory) -> AsyncIterator[int]:
    """Our bundle endpoint, with the control plane's SVID."""
    svid = new_svid(keys.signing, CONTROL, now(), timedelta(hours=1))
    certificate = SwitchedCertificate()
    text = write_pem(CERTIFICATE, *svid.chain_der) + write_pem(PRIVATE_KEY, svid.key_pkcs8_der)
    certificate.use(text.encode())
    runner = web.AppRunner(federation_application(keys), access_log=None)
    await runner.setup()
    try:
        await TimedSite(runner, "127.0.0.1", 0, ssl_context=certificate.context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_spire_and_we_fetch_each_others_bundles(spire: Binaries, tmp_path: Path) -> None:
    keys = InMemory(OURS, now)
    with Server(tmp_path / "server", THEIRS, Node(tmp_path / "node"), Lifetimes()) as server:
        theirs = await asyncio.to_thread(server.bundle)
        url = f"https://127.0.0.1:{server.bundle_port}"
        peer = Peer(THEIRS, url, Profile.SPIFFE, f"spiffe://{THEIRS}/spire/server", theirs)
        federation = Federation(OURS, [peer], lambda: None, now, Pace(), lambda _line: None)
        await federation.look(peer)
        found = federation.bundles()[THEIRS]
        assert found.x509 == read_bundle_document(THEIRS, theirs.encode()).x509
        assert found.jwt_keys

        async with endpoint(keys) as port:
            first = tmp_path / "ours.bundle"
            first.write_text(json.dumps(bundle_to_object(keys.bundle())))
            await asyncio.to_thread(
                server.tell,
                *("federation", "create", "-trustDomain", OURS),
                *("-bundleEndpointURL", f"https://127.0.0.1:{port}/bundle"),
                *("-bundleEndpointProfile", "https_spiffe", "-endpointSpiffeID", str(CONTROL)),
                *("-trustDomainBundlePath", str(first), "-trustDomainBundleFormat", "spiffe"),
            )
            keys.announce()
            await asyncio.to_thread(server.tell, "federation", "refresh", "-id", OURS)
            listed = ""
            for _ in range(100):
                listed = await asyncio.to_thread(
                    server.tell, "bundle", "list", "-id", f"spiffe://{OURS}", "-format", "spiffe"
                )
                if len(read_bundle_document(OURS, listed.encode()).x509.authorities_der) == 2:
                    break
                await asyncio.sleep(0.1)
            held = read_bundle_document(OURS, listed.encode())
            assert set(held.x509.authorities_der) == set(keys.bundle().x509.authorities_der)
            assert held.jwt_keys.keys() == keys.bundle().jwt_keys.keys()
