"""Both ends of federation against each other, by both profiles, and whoever tries to be somebody else."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mesh.identity.bundle import TrustBundle
from mesh.identity.bundle_document import BundleDocument, bundle_to_object
from mesh.identity.ca import Authority, make_authority
from mesh.identity.errors import BundleInvalid, PeerRefused
from mesh.identity.issue import new_svid
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, write_pem
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from webhook.admission.serving_tls import ServingCertificate, SwitchedCertificate
from webhook.admission.settings_file import SettingsInvalid, parse_settings
from webhook.cluster.pace import Pace
from webhook.identity.authorities import InMemory
from webhook.identity.federation.client import Federation
from webhook.identity.federation.endpoint import federation_application, follow_files
from webhook.identity.federation.fetch import FetchFailed
from webhook.identity.federation.peers import Peer, Profile
from webhook.identity.serving_certificate import make_serving_files
from webhook.timed_site import TimedSite

OURS, THEIRS = "a.example", "b.example"
SERVER = SpiffeId(THEIRS, "/ns/outrider-system/sa/outrider-webhook")


def now() -> datetime:
    return datetime.now(UTC)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Other:
    """The other trust domain: its keys, and servers that it runs."""

    keys: InMemory = field(default_factory=lambda: InMemory(THEIRS, now))
    cleanups: list[Any] = field(default_factory=list)
    asked: int = 0

    def svid(self, who: SpiffeId = SERVER, by: Authority | None = None) -> X509Svid:
        return new_svid(by or self.keys.signing, who, now(), timedelta(hours=1))

    @property
    def bundle(self) -> str:
        return write_pem(CERTIFICATE, *self.keys.bundle().x509.authorities_der)

    async def serve(self, svid: X509Svid | None = None, handler: Handler | None = None) -> int:
        svid = svid or self.svid()
        certificate = SwitchedCertificate()
        text = write_pem(CERTIFICATE, *svid.chain_der) + write_pem(PRIVATE_KEY, svid.key_pkcs8_der)
        certificate.use(text.encode())
        return await self.listen(certificate.context, handler)

    async def listen(self, context: ssl.SSLContext, handler: Handler | None = None) -> int:
        application = federation_application(self.keys, 30)
        if handler is not None:
            application = web.Application()
            application.router.add_get("/bundle", handler)
        application.on_response_prepare.append(self._count)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self.cleanups.append(runner.cleanup)
        await TimedSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return int(runner.addresses[0][1])

    async def _count(self, _request: web.Request, _response: web.StreamResponse) -> None:
        self.asked += 1


@pytest.fixture
async def other() -> AsyncIterator[Other]:
    made = Other()
    async with asyncio.timeout(60):
        yield made
        for cleanup in made.cleanups:
            await cleanup()


def peer(port: int, bundle: str, **more: Any) -> Peer:
    endpoint = more.pop("endpoint", str(SERVER))
    return Peer(THEIRS, f"https://127.0.0.1:{port}/bundle", Profile.SPIFFE, endpoint, bundle, **more)


def client(
    *peers: Peer, own: TrustBundle | None = None, lines: list[Any] | None = None, **more: Any
) -> Federation:
    log = (lambda _line: None) if lines is None else lines.append
    return Federation(OURS, peers, lambda: own, now, more.pop("pace", Pace()), log, **more)


async def test_the_bundle_comes_over_a_connection_that_the_given_one_verifies(other: Other) -> None:
    port = await other.serve()
    them = peer(port, other.bundle)
    federation = client(them)
    assert federation.bundles()[THEIRS].jwt_keys == {}
    await federation.look(them)
    assert federation.bundles()[THEIRS] == other.keys.bundle(30)


async def test_after_a_rotation_the_new_bundle_is_what_the_next_look_is_verified_by(other: Other) -> None:
    them = peer(await other.serve(), other.bundle)
    federation = client(them)
    other.keys.announce()
    await federation.look(them)
    announced = federation.bundles()[THEIRS].x509
    assert len(announced.authorities_der) == 2
    other.keys.replace_now()
    with pytest.raises(PeerRefused):
        await federation.look(peer(await other.serve(), other.bundle))
    assert federation.bundles()[THEIRS].x509 == announced


@pytest.mark.parametrize(
    ("who", "td", "error"),
    [
        (SpiffeId(THEIRS, "/someone/else"), THEIRS, FetchFailed),
        (SpiffeId("c.example", "/x"), "c.example", PeerRefused),
        (SERVER, "", PeerRefused),
    ],
)
async def test_nobody_else_serves_it_and_nobody_else_is_asked(
    other: Other, who: SpiffeId, td: str, error: type[Exception]
) -> None:
    by = None if td == THEIRS else make_authority(td or THEIRS, now(), timedelta(days=1))
    them = peer(await other.serve(other.svid(who, by)), other.bundle)
    federation = client(them)
    before = federation.bundles()
    with pytest.raises(error):
        await federation.look(them)
    assert federation.bundles() == before
    assert other.asked == 0, "the connection ends before a request is sent"


async def test_an_endpoint_of_our_own_domain_is_verified_by_our_own_bundle(other: Other) -> None:
    ours = make_authority(OURS, now(), timedelta(days=1))
    mirror = SpiffeId(OURS, "/mirror")
    port = await other.serve(new_svid(ours, mirror, now(), timedelta(hours=1)))
    them = peer(port, "", endpoint=str(mirror))
    with pytest.raises(FetchFailed, match=r"no bundle of a\.example yet"):
        await client(them).look(them)
    federation = client(them, own=ours.bundle)
    await federation.look(them)
    assert federation.bundles()[THEIRS] == other.keys.bundle(30)


async def test_by_the_web_the_name_counts(other: Other, tmp_path: Path) -> None:
    make_serving_files(tmp_path, ["localhost"], now(), timedelta(days=1))
    port = await other.listen(ServingCertificate(tmp_path / "tls.crt", tmp_path / "tls.key").context)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "root.pem"))
    named = Peer(THEIRS, f"https://localhost:{port}/bundle", Profile.WEB)
    federation = client(named, web=lambda: trusting)
    assert federation.bundles() == {}
    await federation.look(named)
    assert federation.bundles()[THEIRS] == other.keys.bundle(30)
    with pytest.raises(ssl.SSLError):
        await federation.look(Peer(THEIRS, f"https://127.0.0.1:{port}/bundle", Profile.WEB))
    with pytest.raises(ssl.SSLError):
        await client(named).look(named)


def answering(status: int = 200, body: Any = None, **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, body=data, headers=headers)

    return handler


async def test_a_redirect_leads_only_to_whom_the_same_profile_proves(other: Other) -> None:
    there = await other.serve()
    port = await other.serve(None, answering(307, Location=f"https://127.0.0.1:{there}/bundle"))
    them = peer(port, other.bundle)
    await client(them).look(them)
    false = await other.serve(other.svid(SpiffeId(THEIRS, "/other")))
    port = await other.serve(None, answering(302, Location=f"https://127.0.0.1:{false}/bundle"))
    them = peer(port, other.bundle)
    with pytest.raises(FetchFailed, match="/other answers, and not"):
        await client(them).look(them)


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (answering(404), "status 404"),
        (answering(301, Location="https://elsewhere.example/"), "status 301 to https://elsewhere.example/"),
        (answering(302), "status 302"),
        (answering(302, Location="http://127.0.0.1:1/"), "not https://"),
        (answering(302, Location="gopher://x"), "no answer that can be read"),
        (answering(302, Location="/bundle"), "more than 3 redirects"),
        (answering(200, b"x" * (1024 * 1024 + 1)), "no answer that can be read"),
        (answering(200, b"{"), "no JSON"),
        (answering(200, {"keys": 3}), "not a JWKS document"),
    ],
)
async def test_what_is_no_bundle_changes_nothing(other: Other, handler: Handler, told: str) -> None:
    them = peer(await other.serve(None, handler), other.bundle)
    federation = client(them)
    before = federation.bundles()
    with pytest.raises((FetchFailed, BundleInvalid), match=told):
        await federation.look(them)
    assert federation.bundles() == before


async def test_a_document_cannot_hold_an_authority_of_another_domain(other: Other) -> None:
    foreign = make_authority(OURS, now(), timedelta(days=1))
    mixed = BundleDocument(TrustBundle(THEIRS, (foreign.der,)))
    them = peer(await other.serve(None, answering(200, bundle_to_object(mixed))), other.bundle)
    with pytest.raises(BundleInvalid, match=r"an authority in it is of spiffe://a\.example"):
        await client(them).look(them)


async def test_an_empty_document_revokes_everything(other: Other) -> None:
    them = peer(await other.serve(None, answering(200, {"keys": []})), other.bundle)
    federation = client(them)
    await federation.look(them)
    assert federation.bundles()[THEIRS].x509.store is None


async def test_it_looks_as_often_as_it_is_asked_to_and_tells_of_each_change_once(other: Other) -> None:
    answers: list[Any] = [bundle_to_object(other.keys.bundle(hint)) for hint in (60, 60, 1, None)]
    answers[1:1] = [b"{", b"{"]
    waits: list[float] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        return await answering(200, answers[min(len(waits), len(answers) - 1)])(request)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == len(answers):
            await asyncio.Event().wait()

    lines: list[Any] = []
    them = peer(await other.serve(None, handler), other.bundle)
    federation = client(them, lines=lines, pace=Pace(sleep=sleep))
    task = asyncio.get_running_loop().create_task(federation.run())
    while len(waits) < len(answers):
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert waits == [60.0, 10.0, 10.0, 60.0, 10.0, 300.0]
    assert [line for line in lines if line["event"] == "federation"] == [
        {"event": "federation", "trust_domain": THEIRS, "url": them.url, "error": told}
        for told in [lines[1]["error"]]
    ] + [{"event": "federation", "trust_domain": THEIRS, "url": them.url, "recovered": True}]


async def test_a_certificate_in_files_is_renewed_and_a_broken_one_is_told_of_once(tmp_path: Path) -> None:
    make_serving_files(tmp_path, ["localhost"], now(), timedelta(days=1))
    certificate = ServingCertificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    changes = [
        lambda: None,
        lambda: make_serving_files(tmp_path, ["localhost"], now(), timedelta(days=2)),
        lambda: (tmp_path / "tls.crt").write_text("x"),
        lambda: None,
    ]
    lines: list[Any] = []

    async def sleep(_seconds: float) -> None:
        if not changes:
            raise asyncio.CancelledError
        changes.pop(0)()

    with pytest.raises(asyncio.CancelledError):
        await follow_files(certificate, lines.append, sleep)
    assert [sorted(line) for line in lines] == [["event", "not_after"], ["error", "event"]]


def test_our_own_domain_is_no_other() -> None:
    with pytest.raises(ValueError, match="our own trust domain"):
        client(Peer(OURS, "https://x/", Profile.WEB))


async def test_an_endpoint_without_keys_says_so() -> None:
    from webhook.identity.keyring.in_force import InForce
    from webhook.identity.keyring.values import Times

    force = InForce(OURS, Times(), now, lambda _line: None, lambda: None)
    from aiohttp.test_utils import TestClient, TestServer

    async with TestClient(TestServer(federation_application(force))) as web_client:
        answer = await web_client.get("/bundle")
        assert answer.status == 503


PEM = write_pem(CERTIFICATE, make_authority(THEIRS, now(), timedelta(days=1)).der)


def test_the_settings_name_the_peers() -> None:
    text = json.dumps(
        {
            "federation": [
                {"trustDomain": THEIRS, "url": "https://b/", "endpointSpiffeId": str(SERVER), "bundle": PEM},
                {"trustDomain": "c.example", "url": "https://c/x", "profile": "https_web"},
            ]
        }
    )
    assert parse_settings(text, "x").federation == (
        Peer(THEIRS, "https://b/", Profile.SPIFFE, str(SERVER), PEM),
        Peer("c.example", "https://c/x", Profile.WEB),
    )
    assert parse_settings("", "x").federation == ()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({}, "federation[0].trustDomain: missing"),
        ({"trustDomain": "B", "url": "https://b/"}, "only a-z"),
        ({"url": "http://b/"}, "is not an https:// URL"),
        ({"url": "https://me@b/"}, "is not an https:// URL"),
        ({"url": "https://["}, "is not an https:// URL"),
        ({"profile": "web"}, "allowed: https_spiffe, https_web"),
        ({"profile": "https_spiffe"}, "endpointSpiffeId: missing"),
        ({"endpointSpiffeId": "spiffe://b.example"}, "names a trust domain, not a workload"),
        ({"endpointSpiffeId": "x"}, "does not begin with spiffe://"),
        ({"endpointSpiffeId": str(SERVER)}, "federation[0].bundle: missing"),
        ({"bundle": "x"}, "neither certificates in PEM nor a bundle document"),
        ({"bundle": "{"}, "neither certificates in PEM nor a bundle document"),
    ],
)
def test_what_is_wrong_with_a_peer_is_told(entry: dict[str, str], told: str) -> None:
    given = (
        entry
        if not entry or "trustDomain" in entry
        else {"trustDomain": THEIRS, "url": "https://b/", **entry}
    )
    with pytest.raises(SettingsInvalid) as refused:
        parse_settings(json.dumps({"federation": [given]}), "x")
    assert told in str(refused.value)


def test_a_domain_is_named_once() -> None:
    one = {"trustDomain": THEIRS, "url": "https://b/", "profile": "https_web"}
    with pytest.raises(SettingsInvalid, match=r"b\.example is there twice"):
        parse_settings(json.dumps({"federation": [one, one]}), "x")
