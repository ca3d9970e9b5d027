"""The CA's service: who gets what, and what is refused how."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mesh.identity.csr import make_csr
from mesh.identity.issuance import SvidAnswer, read_bundles, read_chain, read_document
from mesh.identity.jwt_svid import validate_jwt_svid
from mesh.identity.verify import verify_peer
from tests.support.ca import RunningCa, running_ca
from webhook.identity import ca_server

KEY = ec.generate_private_key(ec.SECP256R1())


class Caller:
    """Speaks HTTPS to the CA by another client than ours."""

    def __init__(self, ca: RunningCa, session: aiohttp.ClientSession) -> None:
        self.ca = ca
        self.session = session
        self.context = ssl.create_default_context(cafile=ca.root)

    async def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, **more: Any
    ) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"https://localhost:{self.ca.target.port}{path}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        options = {"data": data, "headers": headers, "ssl": self.context, **more}
        async with self.session.request(method, url, **options) as answer:
            return answer.status, await answer.read()

    async def svid(self, csr: Any = None, token: str | None = None) -> Any:
        csr = make_csr(KEY) if csr is None else csr
        return await self.call("POST", "/v1/svid", {"csr": csr}, token or self.ca.tokens.token())


@asynccontextmanager
async def calling(folder: Path, **options: Any) -> AsyncIterator[Caller]:
    async with running_ca(folder, **options) as ca, aiohttp.ClientSession() as session, asyncio.timeout(20):
        yield Caller(ca, session)


async def test_a_token_and_a_key_make_an_svid(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        status, body = await caller.svid()
        assert status == 200
        answer = read_document(body, SvidAnswer)
        bundles = {name: bundle.x509 for name, bundle in read_bundles(answer).items()}
        chain = read_chain(answer)
        identity = verify_peer(chain, bundles, caller.ca.clock())
        assert str(identity) == "spiffe://a.example/ns/agents/sa/triage"
        leaf = x509.load_der_x509_certificate(chain[0])
        assert leaf.public_key() == KEY.public_key()
        assert leaf.not_valid_after_utc == caller.ca.clock() + timedelta(hours=1)
        assert answer.refresh_after_seconds == 300


async def test_names_in_the_request_are_ignored(tmp_path: Path) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    alternative = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier("spiffe://a.example/ns/x/sa/admin")]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(alternative, False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    csr = builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    async with calling(tmp_path) as caller:
        status, body = await caller.svid(csr)
        assert status == 200
        leaf, _ = map(x509.load_der_x509_certificate, read_chain(read_document(body, SvidAnswer)))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
            "spiffe://a.example/ns/agents/sa/triage"
        ]
        assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert "root" not in leaf.subject.rfc4514_string()


async def test_every_issuance_leaves_a_line_without_secrets(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        token = caller.ca.tokens.token()
        await caller.svid(token=token)
        _, body = await caller.call("POST", "/v1/jwt-svid", {"audience": ["db"]}, token)
        first, second = caller.ca.audit
        assert first["event"] == "svid_issued"
        assert first["spiffeId"] == "spiffe://a.example/ns/agents/sa/triage"
        assert {"serial", "notAfter", "pod", "namespace", "serviceAccount", "from", "time"} <= first.keys()
        assert (second["event"], second["audience"]) == ("jwt_svid_issued", ["db"])
        written = json.dumps(caller.ca.audit)
        assert token not in written
        assert json.loads(body)["token"] not in written


async def test_a_jwt_svid_verifies_by_the_published_bundle(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        status, body = await caller.call(
            "POST", "/v1/jwt-svid", {"audience": ["db", "vault"]}, caller.ca.tokens.token()
        )
        assert status == 200
        keys = {"a.example": caller.ca.authorities.bundle().jwt_keys}
        for audience in ("db", "vault"):
            subject, claims = validate_jwt_svid(json.loads(body)["token"], audience, keys, caller.ca.clock())
            assert str(subject) == "spiffe://a.example/ns/agents/sa/triage"
            assert claims["exp"] - claims["iat"] == 300


async def test_bundles_are_public(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        status, body = await caller.call("GET", "/v1/bundles")
        assert status == 200
        assert set(json.loads(body)["bundles"]["a.example"]) == {
            "keys",
            "spiffe_sequence",
            "spiffe_refresh_hint",
        }


@pytest.mark.parametrize(
    ("claims", "status", "error"),
    [
        ({"exp": 1}, 401, "token_expired"),
        ({"aud": "other"}, 403, "token_refused"),
        ({"iss": "https://evil.example"}, 403, "token_refused"),
        ({"namespace": "a/b"}, 403, "token_refused"),
        ({"account": "Å"}, 403, "token_refused"),
    ],
)
async def test_a_token_that_proves_nothing_gets_nothing(
    tmp_path: Path, claims: dict[str, Any], status: int, error: str
) -> None:
    async with calling(tmp_path) as caller:
        answered, body = await caller.svid(token=caller.ca.tokens.token(**claims))
        assert (answered, json.loads(body)["error"]) == (status, error)
        assert caller.ca.events() == ["refused"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic eDp5"])
async def test_without_a_token_there_is_nothing(tmp_path: Path, header: str | None) -> None:
    async with calling(tmp_path) as caller:
        headers = {} if header is None else {"Authorization": header}
        status, body = await caller.call("POST", "/v1/svid", {"csr": make_csr(KEY)}, headers=headers)
        assert (status, json.loads(body)["error"]) == (401, "token_missing")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "malformed"),
        (b"{}", 400, "malformed"),
        (b'{"csr":"x","lifetime":99}', 400, "malformed"),
        (b'{"csr":"x"}', 422, "csr_refused"),
        (b"x" * 20_000, 413, "malformed"),
    ],
)
async def test_a_body_that_is_no_request_is_refused(
    tmp_path: Path, body: bytes, status: int, error: str
) -> None:
    async with calling(tmp_path) as caller:
        answered, answer = await caller.call("POST", "/v1/svid", body, caller.ca.tokens.token())
        assert (answered, json.loads(answer)["error"]) == (status, error)


async def test_a_key_that_is_not_the_callers_own_is_refused(tmp_path: Path) -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    weak = request.sign(rsa.generate_private_key(65537, 2048), hashes.SHA256())
    async with calling(tmp_path) as caller:
        status, body = await caller.svid(weak.public_bytes(Encoding.PEM).decode())
        assert (status, json.loads(body)["error"]) == (422, "csr_refused")


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/svid"), ("GET", "/"), ("POST", "/v2/svid")])
async def test_other_paths_and_methods_are_refused_in_the_same_shape(
    tmp_path: Path, method: str, path: str
) -> None:
    async with calling(tmp_path) as caller:
        status, body = await caller.call(method, path)
        assert status in (404, 405)
        assert json.loads(body)["error"] == "malformed"


async def test_each_pod_has_a_rate_of_its_own(tmp_path: Path) -> None:
    async with calling(tmp_path, per_minute=1.0, burst=2) as caller:
        tokens = caller.ca.tokens
        statuses = [(await caller.svid())[0] for _ in range(3)]
        assert statuses == [200, 200, 429]
        _, body = await caller.svid()
        assert json.loads(body)["retryAfterSeconds"] == 60
        about = tokens.claims()["kubernetes.io"]
        other = tokens.token(**{"kubernetes.io": {**about, "pod": {"name": "triage-2", "uid": "3"}}})
        assert (await caller.svid(token=other))[0] == 200
        caller.ca.clock.move(60)
        assert (await caller.svid())[0] == 200


async def test_a_body_that_does_not_come_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca_server, "BODY_SECONDS", 0.05)
    async with calling(tmp_path) as caller:
        context = ssl.create_default_context(cafile=caller.ca.root)
        reader, writer = await asyncio.open_connection("localhost", caller.ca.target.port, ssl=context)
        token = caller.ca.tokens.token()
        head = (
            f"POST /v1/svid HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 9\r\n\r\n"
        )
        writer.write(head.encode())
        assert b" 400 " in await reader.readline()
        writer.transport.abort()


@pytest.mark.parametrize("part", [b"", b"GET /v1/bundles HTTP/1.1\r\nhost: x\r\n"])
async def test_a_head_that_does_not_come_is_given_up(tmp_path: Path, part: bytes) -> None:
    async with calling(tmp_path, head_seconds=0.2) as caller:
        context = ssl.create_default_context(cafile=caller.ca.root)
        reader, writer = await asyncio.open_connection("localhost", caller.ca.target.port, ssl=context)
        writer.write(part)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.transport.abort()
        assert (await caller.call("GET", "/v1/bundles"))[0] == 200


async def test_a_handshake_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    async with calling(tmp_path, head_seconds=0.2) as caller:
        reader, writer = await asyncio.open_connection("localhost", caller.ca.target.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.transport.abort()
