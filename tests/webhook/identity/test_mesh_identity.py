"""Replicas of the control plane with a CA in a Secret: over real TLS, against an API server of a few objects."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import make_authority
from mesh.identity.csr import make_csr
from mesh.identity.issuance import SvidAnswer, read_bundles, read_chain, read_document
from mesh.identity.issue import new_svid
from mesh.identity.jws import read_jws
from mesh.identity.jwt_svid import validate_jwt_svid
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, read_certificates, write_pem
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from mesh.identity.verify import verify_chain
from tests.support.api_server import FakeApiServer, serving
from tests.support.ca import AUDIENCE, TokenIssuer, WallClock
from webhook.cluster.client import ApiClient
from webhook.cluster.failures import Troubles
from webhook.cluster.pace import Pace
from webhook.identity.application import control_runner
from webhook.identity.ca_server import Runs
from webhook.identity.keyring.plan import Act
from webhook.identity.mesh_identity import Cluster, IdentityOptions, MeshIdentity, mesh_identity
from webhook.identity.rate_limit import RateLimit
from webhook.timed_site import TimedSite

SECRET = "/api/v1/namespaces/outrider-system/secrets/outrider-ca"
ROOTS = "/api/v1/namespaces/outrider-system/configmaps/outrider-roots"
TD = "cluster.local"
WORKLOAD = SpiffeId(TD, "/ns/agents/sa/triage")
KEY = ec.generate_private_key(ec.SECP256R1())


@dataclass
class Replica:
    parts: MeshIdentity
    lines: list[dict[str, Any]]
    roots: list[str]
    clock: WallClock
    port: int = 0
    leads: bool = True

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def acts(self) -> list[str]:
        return [line["act"] for line in self.events("ca")]

    def trusting(self, *roots_pem: str, svid: X509Svid | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata="".join(roots_pem))
        if svid is not None:
            with_files(context, svid)
        return context

    async def call(
        self, method: str, path: str, context: ssl.SSLContext, body: Any = None, token: str | None = None
    ) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"https://127.0.0.1:{self.port}{path}"
        options: dict[str, Any] = {"server_hostname": "outrider-control.outrider-system.svc", "ssl": context}
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(method, url, json=body, headers=headers, **options) as answer,
        ):
            return answer.status, await answer.read()


def with_files(context: ssl.SSLContext, svid: X509Svid) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(write_pem(CERTIFICATE, *svid.chain_der) + write_pem(PRIVATE_KEY, svid.key_pkcs8_der))
        file.flush()
        context.load_cert_chain(file.name)


@dataclass
class Cloud:
    """The cluster: its API server with token reviews, and the time."""

    fake: FakeApiServer
    client: ApiClient
    clock: WallClock
    tokens: TokenIssuer
    reviews: list[dict[str, Any]] = field(default_factory=list)
    verdict: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    async def review(self, request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith("/tokenreviews"):
            return None
        spec = (await request.json())["spec"]
        self.reviews.append(spec)
        await asyncio.sleep(0)
        claims = read_jws(spec["token"]).claims
        about = claims["kubernetes.io"]
        extra = {
            "authentication.kubernetes.io/pod-name": [about["pod"]["name"]],
            "authentication.kubernetes.io/pod-uid": [about["pod"]["uid"]],
        }
        status = {
            "authenticated": True,
            "audiences": [one for one in claims["aud"] if one in spec["audiences"]],
            "user": {"username": claims["sub"], "extra": extra},
        }
        return web.json_response({"status": self.verdict(status) if self.verdict else status}, status=201)


@asynccontextmanager
async def cloud(folder: Path, ago: timedelta = timedelta()) -> AsyncIterator[Cloud]:
    fake = FakeApiServer()
    fake.put(SECRET, {"kind": "Secret", "type": "Opaque"})
    fake.put(ROOTS, {"kind": "ConfigMap"})
    # TLS has a clock of its own: what is to be shown must be valid now, so a test that moves on begins earlier.
    clock = WallClock(datetime.now(UTC).replace(microsecond=0) - ago)
    async with asyncio.timeout(30), serving(fake, folder) as client:
        made = Cloud(fake, client, clock, TokenIssuer(clock))
        fake.faults.append(made.review)
        yield made


@asynccontextmanager
async def replica(
    cloud: Cloud, *, leads: bool = True, issues: bool = True, runs: Runs | None = None
) -> AsyncIterator[Replica]:
    lines: list[dict[str, Any]] = []
    roots: list[str] = []
    pace = Pace(sleep=lambda _seconds: asyncio.sleep(0.01))
    cluster = Cluster(
        cloud.client, pace, lambda: Troubles(lines.append, lambda *_: None), lines.append, cloud.clock
    )
    limit = RateLimit(cloud.clock.seconds, per_minute=600, burst=100)
    options = IdentityOptions(TD, "outrider-system", "cluster.local", issues=issues)
    parts = mesh_identity(
        cluster, options, leading=lambda: made.leads, roots_changed=roots.append, limit=limit, runs=runs
    )
    made = Replica(parts, lines, roots, cloud.clock, leads=leads)
    runner = control_runner(parts.application)
    await runner.setup()
    await TimedSite(runner, "127.0.0.1", 0, ssl_context=parts.certificate.context).start()
    made.port = runner.addresses[0][1]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(one)) for one in parts.tasks]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await runner.cleanup()


async def run(task: Any) -> None:
    await task()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def published(cloud: Cloud) -> str:
    return str((cloud.fake.objects[ROOTS].get("data") or {}).get("roots.pem", ""))


def annotate(cloud: Cloud, **values: str) -> None:
    secret = cloud.fake.objects[SECRET]
    named = {f"outrider.dev/{name.replace('_', '-')}": value for name, value in values.items()}
    cloud.fake.put(SECRET, {**secret, "metadata": {**secret["metadata"], "annotations": named}})


def svid_of(one: Replica, *, expired: bool = False) -> X509Svid:
    now = one.clock() - (timedelta(hours=2) if expired else timedelta())
    return new_svid(one.parts.in_force.signing, WORKLOAD, now, timedelta(hours=1))


async def test_an_empty_secret_is_filled_and_both_replicas_serve(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as leader, replica(sky, leads=False) as follower:
        await until(lambda: not leader.parts.problems() and not follower.parts.problems())
        await until(lambda: "publish_roots" in leader.acts())
        # Whoever sees it first, and nobody else.
        assert sorted(leader.acts() + follower.acts()) == [str(Act.FOUND), "publish_roots"]
        assert leader.roots == follower.roots == [published(sky)]
        for one in (leader, follower):
            status, body = await one.call("GET", "/v1/bundles", one.trusting(published(sky)))
            assert status == 200
            (bundle,) = read_bundles_of(body).values()
            assert bundle.x509.authorities_der == read_certificates(published(sky).encode())
        certificate = leader.parts.certificate.svid
        assert certificate is not None
        assert str(certificate.spiffe_id) == "spiffe://cluster.local/ns/outrider-system/sa/outrider-webhook"


async def test_an_empty_secret_is_filled_while_the_leader_knows_of_no_ca(tmp_path: Path) -> None:
    """As in an upgrade from a release without one: the old leader stays until we are ready."""
    async with cloud(tmp_path) as sky, replica(sky, leads=False) as new:
        await until(lambda: not new.parts.problems())
        assert new.acts() == [str(Act.FOUND)]
        assert published(sky) == ""  # the leader's work


def read_bundles_of(body: bytes) -> Any:
    from mesh.identity.issuance import BundlesAnswer

    return read_bundles(read_document(body, BundlesAnswer))


async def test_a_pods_token_and_then_its_certificate_get_svids(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        body = {"csr": make_csr(KEY)}
        token = sky.tokens.token()
        status, answer = await one.call("POST", "/v1/svid", one.trusting(published(sky)), body, token)
        assert status == 200
        read = read_document(answer, SvidAnswer)
        bundles = {name: bundle.x509 for name, bundle in read_bundles(read).items()}
        assert verify_chain(read_chain(read), bundles, sky.clock()).spiffe_id == WORKLOAD
        assert sky.reviews == [{"token": token, "audiences": [AUDIENCE]}]
        (first,) = one.events("svid_issued")
        assert (first["pod"], first["podUid"], first["provedBy"]) == ("triage-1", "2", "token")
        issuer = one.parts.in_force.signing.certificate
        assert first["issuerSerial"] == f"{issuer.serial_number:x}"
        mine = svid_of(one)
        status, answer = await one.call("POST", "/v1/svid", one.trusting(published(sky), svid=mine), body)
        assert status == 200
        second = one.events("svid_issued")[1]
        assert (second["provedBy"], second["provedSerial"]) == ("certificate", mine.serial)
        assert token not in json.dumps(one.lines)


@pytest.mark.parametrize("path", ["/v1/svid", "/v1/jwt-svid"])
async def test_a_certificate_proves_an_account_only_while_its_pods_run(tmp_path: Path, path: str) -> None:
    body = {"csr": make_csr(KEY)} if path == "/v1/svid" else {"audience": ["db"]}
    known: list[bool | None] = [True]
    asked: list[tuple[str, str]] = []

    def runs(namespace: str, account: str) -> bool | None:
        asked.append((namespace, account))
        return known[0]

    async with cloud(tmp_path) as sky, replica(sky, runs=runs) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        by_svid = one.trusting(published(sky), svid=svid_of(one))
        assert (await one.call("POST", path, by_svid, body))[0] == 200
        known[0] = False
        status, answer = await one.call("POST", path, by_svid, body)
        assert (status, json.loads(answer)["error"]) == (403, "certificate_refused")
        assert "a token of such a pod is needed" in json.loads(answer)["detail"]
        known[0] = None
        status, answer = await one.call("POST", path, by_svid, body)
        assert (status, json.loads(answer)["error"]) == (503, "unavailable")
        by_token = one.trusting(published(sky))
        assert (await one.call("POST", path, by_token, body, sky.tokens.token()))[0] == 200
        assert asked == [("agents", "triage")] * 3


async def test_a_herd_with_one_token_is_one_question(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        context, token = one.trusting(published(sky)), sky.tokens.token()
        body = {"audience": ["db"]}
        answers = await asyncio.gather(
            *(one.call("POST", "/v1/jwt-svid", context, body, token) for _ in range(20))
        )
        assert [status for status, _ in answers] == [200] * 20
        assert len(sky.reviews) == 1


async def test_tokens_verify_by_what_discovery_leads_to(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        context = one.trusting(published(sky))
        _, answer = await one.call(
            "POST", "/v1/jwt-svid", context, {"audience": ["https://idp"]}, sky.tokens.token()
        )
        token = json.loads(answer)["token"]
        _, found = await one.call("GET", "/.well-known/openid-configuration", context)
        discovery = json.loads(found)
        issuer = "https://outrider-control.outrider-system.svc:15012"
        assert (discovery["issuer"], discovery["jwks_uri"]) == (issuer, f"{issuer}/keys")
        _, found = await one.call("GET", "/keys", context)
        keys = json.loads(found)
        assert [(key["use"], key["alg"], key["kty"]) for key in keys["keys"]] == [("sig", "ES256", "EC")]
        jwt = pytest.importorskip("jwt")
        signing = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, signing.key, algorithms=["ES256"], audience="https://idp", issuer=issuer)
        assert claims["sub"] == str(WORKLOAD)
        own = {TD: one.parts.in_force.bundle().jwt_keys}
        assert validate_jwt_svid(token, "https://idp", own, sky.clock())[0] == WORKLOAD


async def test_without_the_provider_builtin_there_is_no_ca_and_it_says_so(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky, issues=False) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        for method, path in (("POST", "/v1/svid"), ("POST", "/v1/jwt-svid"), ("GET", "/v1/bundles")):
            status, answer = await one.call(method, path, one.trusting(published(sky)))
            assert status == 404
            assert (
                "identity.provider of the platform's settings is not builtin" in json.loads(answer)["detail"]
            )


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        (
            {"authenticated": False, "error": "the pod is gone"},
            403,
            "the API server refuses it: the pod is gone",
        ),
        ({"audiences": ["other"]}, 403, "it is not for the audience"),
        ({"audiences": None}, 403, "it is not for the audience"),
        ({"user": {"username": "kubernetes-admin"}}, 403, "it is no ServiceAccount's"),
        ({"user": {"username": "system:serviceaccount:agents:triage"}}, 403, "it is not bound to a pod"),
    ],
)
async def test_what_the_api_server_says_of_a_token_counts(
    tmp_path: Path, change: dict[str, Any], status: int, told: str
) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        sky.verdict = lambda given: {**given, **change}
        context = one.trusting(published(sky))
        for _ in range(2):
            answered, body = await one.call("POST", "/v1/svid", context, {"csr": "x"}, sky.tokens.token())
            assert answered == status
            assert told in json.loads(body)["detail"]
        assert len(sky.reviews) == 2, "a refusal counts for one token"


async def test_an_api_server_that_does_not_answer_is_told_with_when_to_come_again(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        end = sky.fake.fail(503, path="/apis/authentication.k8s.io")
        sky.fake.faults.reverse()
        context, token = one.trusting(published(sky)), sky.tokens.token()
        status, body = await one.call("POST", "/v1/svid", context, {"csr": make_csr(KEY)}, token)
        assert status == 503
        assert json.loads(body)["error"] == "unavailable"
        assert json.loads(body)["retryAfterSeconds"] == 2
        end()
        status, _ = await one.call("POST", "/v1/svid", context, {"csr": make_csr(KEY)}, token)
        assert status == 200


@pytest.mark.parametrize("token", ["x", "a.b.c", "é", "x" * 20_000])
async def test_what_is_no_token_is_not_shown_to_the_api_server(tmp_path: Path, token: str) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        if len(token) < 5000:
            status, _ = await one.call("POST", "/v1/svid", one.trusting(published(sky)), {}, token)
            assert status == 403
        expired = sky.tokens.token(exp=1)
        status, _ = await one.call("POST", "/v1/svid", one.trusting(published(sky)), {}, expired)
        assert status == 401
        assert sky.reviews == []


async def test_a_certificate_that_does_not_hold_now_is_refused(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        foreign = make_authority(TD, sky.clock(), timedelta(days=1))
        for wrong in (
            svid_of(one, expired=True),
            new_svid(foreign, WORKLOAD, sky.clock(), timedelta(hours=1)),
        ):
            with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
                await one.call("GET", "/v1/bundles", one.trusting(published(sky), svid=wrong))
        named = new_svid(one.parts.in_force.signing, SpiffeId(TD, "/node/a"), sky.clock(), timedelta(hours=1))
        status, body = await one.call(
            "POST", "/v1/svid", one.trusting(published(sky), svid=named), {"csr": make_csr(KEY)}
        )
        assert (status, json.loads(body)["error"]) == (403, "certificate_refused")


async def test_a_rotation_is_announced_everywhere_before_it_counts(tmp_path: Path) -> None:
    async with cloud(tmp_path, timedelta(hours=24, minutes=2)) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        old = published(sky)
        annotate(sky, rotate="now")
        await until(lambda: published(sky).count("BEGIN") == 2)
        assert one.roots[-1] == published(sky)
        assert "announce_root" in one.acts()
        sky.clock.move(24 * 3600 + 60)
        one.parts.wake()
        new = one.parts.in_force.keyring.root(sky.clock()).der  # type: ignore[union-attr]
        await until(lambda: chains_to(one, new))
        only_new = write_pem(CERTIFICATE, new)
        for roots in (old, only_new):  # who has not heard of it is led there by the old root
            status, _ = await one.call("GET", "/v1/bundles", one.trusting(roots))
            assert status == 200
        sky.clock.move(3 * 3600)
        one.parts.wake()
        await until(lambda: published(sky) == only_new)


def chains_to(one: Replica, root: bytes) -> bool:
    svid = one.parts.certificate.svid
    assert svid is not None
    return any(
        x509.load_der_x509_certificate(der).issuer == x509.load_der_x509_certificate(root).subject
        for der in svid.chain_der
    )


async def test_certificates_below_a_root_that_leaked_are_refused_at_once(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        old, mine = published(sky), svid_of(one)
        context = one.trusting(old, svid=mine)
        body = {"audience": ["db"]}
        connector = aiohttp.TCPConnector(ssl=context)
        url = f"https://127.0.0.1:{one.port}/v1/jwt-svid"
        named: dict[str, Any] = {"server_hostname": "outrider-control.outrider-system.svc"}
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.post(url, json=body, **named) as answer:
                assert answer.status == 200
            annotate(sky, replace_now="leaked")
            await until(lambda: published(sky) not in ("", old))
            async with session.post(url, json=body, **named) as answer:
                assert answer.status == 403, "on the connection from before"
                assert (await answer.json())["error"] == "certificate_refused"
        await until(lambda: len(one.events("control_certificate")) > 1)
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await one.call("POST", "/v1/jwt-svid", context, body)
        status, _ = await one.call("POST", "/v1/jwt-svid", one.trusting(old), body, sky.tokens.token())
        assert status == 200, "by its token, over the bridge from the old root"


async def test_a_broken_secret_is_told_of_and_neither_used_nor_overwritten(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        before = one.parts.in_force.signing
        broken = {"keyring.json": base64.b64encode(b"{").decode()}
        sky.fake.put(SECRET, {**sky.fake.objects[SECRET], "data": broken})
        await until(lambda: one.parts.in_force.fault)
        await asyncio.sleep(0.05)
        assert sky.fake.objects[SECRET]["data"] == broken
        assert one.parts.problems() == []
        assert one.parts.in_force.signing is before
        assert [line for line in one.events("ca_secret") if "error" in line]
        async with replica(sky) as fresh:
            await until(lambda: fresh.parts.in_force.fault)
            assert "keyring.json" in fresh.parts.problems()[0]
            assert sky.fake.objects[SECRET]["data"] == broken


async def test_a_secret_that_was_emptied_is_filled_with_what_was_there(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        held = sky.fake.objects[SECRET]["data"]
        sky.fake.put(SECRET, {**sky.fake.objects[SECRET], "data": {}})
        await until(lambda: sky.fake.objects[SECRET].get("data") == held)


async def test_a_secret_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky:
        sky.fake.delete(SECRET)
        async with replica(sky) as one:
            await until(lambda: one.parts.in_force.fault)
            assert "helm upgrade brings it back" in one.parts.problems()[0]


async def test_of_two_leaders_one_makes_the_ca(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one, replica(sky) as two:
        await until(lambda: not one.parts.problems() and not two.parts.problems() and published(sky))
        assert (one.acts() + two.acts()).count(str(Act.FOUND)) == 1
        assert one.parts.in_force.bundle() == two.parts.in_force.bundle()


async def test_an_authority_of_the_users_is_used_and_left_alone(tmp_path: Path) -> None:
    root = make_authority(TD, datetime.now(UTC), timedelta(days=20))
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    text = write_pem(CERTIFICATE, root.der).encode()
    given = {"ca.crt": text, "tls.crt": text, "tls.key": key}
    data = {name: base64.b64encode(value).decode() for name, value in given.items()}
    async with cloud(tmp_path) as sky:
        sky.fake.put(SECRET, {"kind": "Secret", "data": data})
        async with replica(sky) as one:
            await until(lambda: not one.parts.problems() and published(sky))
            assert sky.fake.objects[SECRET]["data"] == data
            assert published(sky) == text.decode()
            assert one.parts.in_force.signing.der == root.der
            verify_chain(svid_of(one).chain_der, {TD: TrustBundle(TD, (root.der,))}, sky.clock())
            assert one.events("ca_expiry") == []
            sky.clock.move(16 * 86400)
            one.parts.wake()
            await until(lambda: one.events("ca_expiry"))
            assert "renew it there" in one.events("ca_expiry")[0]["error"]
            annotate(sky, rotate="x", replace_now="x")
            await asyncio.sleep(0.05)
            assert sky.fake.objects[SECRET]["data"] == data


async def test_roots_of_the_users_are_published_beside_ours_before_theirs_signs(tmp_path: Path) -> None:
    theirs = make_authority(TD, datetime.now(UTC), timedelta(days=20))
    text = write_pem(CERTIFICATE, theirs.der)
    key = write_pem(PRIVATE_KEY, new_svid_key(theirs))
    given = {
        name: base64.b64encode(value.encode()).decode()
        for name, value in (("ca.crt", text), ("tls.crt", text))
    }
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        old, ours = published(sky), one.parts.in_force.signing
        secret = sky.fake.objects[SECRET]
        sky.fake.put(SECRET, {**secret, "data": {**secret["data"], "ca.crt": given["ca.crt"]}})
        await until(lambda: published(sky) == text + old)
        assert one.parts.in_force.signing is not None
        assert one.parts.in_force.signing.der == ours.der
        data = {**secret["data"], **given, "tls.key": base64.b64encode(key.encode()).decode()}
        sky.fake.put(SECRET, {**sky.fake.objects[SECRET], "data": data})
        await until(lambda: one.parts.in_force.signing.der == theirs.der)
        assert len(one.parts.in_force.bundle().jwt_keys) == 2
        assert published(sky) == text + old
        sky.fake.put(SECRET, {**sky.fake.objects[SECRET], "data": {}})
        await until(lambda: one.parts.in_force.fault)
        assert "stays in use in memory" in one.parts.in_force.fault
        assert one.parts.problems() == []
        await asyncio.sleep(0.05)
        assert sky.fake.objects[SECRET]["data"] == {}, "nobody makes another CA in its place"


def new_svid_key(authority: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made: bytes = authority.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return made


async def test_a_write_that_is_not_allowed_is_told_once_and_made_up_for(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky:
        end = sky.fake.fail(403, method="PUT", path=SECRET)
        async with replica(sky) as one:
            await until(lambda: one.events("api_failure"))
            (told,) = [line for line in one.events("api_failure") if line["subject"] == "ca"]
            assert "grant update on secrets (resourceNames: [outrider-ca])" in told["error"]
            assert one.parts.problems() != []
            end()
            one.parts.wake()
            # The write is there before the answer to it, and only that is a recovery.
            await until(lambda: [line for line in one.events("api_recovered") if line["subject"] == "ca"])
            assert one.parts.problems() == []
            assert published(sky)


async def test_pods_of_one_account_have_limits_of_their_own(tmp_path: Path) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        mine, body = one.trusting(published(sky), svid=svid_of(one)), {"audience": ["db"]}
        answers = [(await one.call("POST", "/v1/jwt-svid", mine, body))[0] for _ in range(101)]
        assert answers == [200] * 100 + [429]
        plain = one.trusting(published(sky))
        status, _ = await one.call("POST", "/v1/jwt-svid", plain, body, sky.tokens.token())
        assert status == 200


async def test_nothing_is_issued_once_the_secret_was_not_seen_for_as_long_as_an_announcement(
    tmp_path: Path,
) -> None:
    async with cloud(tmp_path) as sky, replica(sky) as one:
        await until(lambda: not one.parts.problems() and published(sky))
        sky.fake.fail(503)
        sky.clock.move(23 * 3600)
        assert one.parts.in_force.problems() == []
        sky.clock.move(2 * 3600)
        assert "has not been seen since" in one.parts.in_force.problems()[0]
