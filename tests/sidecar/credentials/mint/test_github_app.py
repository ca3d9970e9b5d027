"""Installation tokens, with a key that is read from a Secret and verified here as GitHub does."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.identity.jws import read_jws, verify
from mesh.policy.credentials import GithubApp, SecretKey
from mesh.reasons import Reason
from sidecar.credentials.fetch import FetchFailed
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.github_app import GithubApps
from sidecar.credentials.secret_files import SecretFiles
from tests.support.token_endpoint import ALICE, NOW, FakeFetch, answer, parts

RSA_KEY = rsa.generate_private_key(65537, 2048)
NONE: frozenset[str] = frozenset()
CONFIG = GithubApp("Iv23abc", "42", SecretKey("github-app", "key.pem"), repositories=("outrider",))
GIVEN = answer({"token": "ghs_abc", "expires_at": "2027-01-15T09:00:00Z"}, 201)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def put(file: Path, value: bytes | None) -> None:
    file.unlink()
    if value is not None:
        file.write_bytes(value)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "github-app").mkdir()
    file = tmp_path / "github-app" / "key.pem"
    file.write_bytes(pem(RSA_KEY))
    return file


@pytest.fixture
def apps(tmp_path: Path) -> GithubApps:
    return GithubApps(SecretFiles(tmp_path, clock=lambda: 0.0))


async def test_a_token_is_asked_for_with_a_jwt_that_github_can_verify(apps: GithubApps, secret: Path) -> None:
    fetch = FakeFetch([GIVEN])
    issued = await apps.mint(CONFIG, ALICE, NONE, parts=parts(fetch))
    assert issued.fields == [(b"authorization", b"Bearer ghs_abc")]
    assert issued.expires == 1_800_003_600.0
    (request,) = fetch.requests
    assert request.url == "https://api.github.com/app/installations/42/access_tokens"
    assert request.body == b'{"repositories":["outrider"]}'
    token = dict(request.headers)[b"authorization"].decode().removeprefix("Bearer ")
    jws = read_jws(token)
    verify(jws, RSA_KEY.public_key())
    assert jws.header["alg"] == "RS256"
    assert jws.claims == {"iss": "Iv23abc", "iat": NOW - 60, "exp": NOW + 540}
    assert set(issued.secrets) == {b"ghs_abc", token.encode()}


async def test_the_key_is_read_once_as_long_as_it_is_the_same(
    apps: GithubApps, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = FakeFetch([GIVEN])
    await apps.mint(CONFIG, None, NONE, parts=parts(fetch))
    monkeypatch.setattr("sidecar.credentials.mint.github_app.read_signing_key", None)
    await apps.mint(CONFIG, None, NONE, parts=parts(fetch))
    assert len(fetch.requests) == 2


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (b"no key", "neither PEM of a private key nor a JWK"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "a key for ES256"),
        (None, "it is not mounted"),
    ],
)
async def test_a_key_of_no_use_is_refused_before_anybody_is_asked(
    apps: GithubApps, secret: Path, key: bytes | None, why: str
) -> None:
    put(secret, key)
    fetch = FakeFetch([GIVEN])
    with pytest.raises(CredentialRefused, match=why) as refused:
        await apps.mint(CONFIG, None, NONE, parts=parts(fetch))
    assert refused.value.reason is Reason.CREDENTIAL_SECRET_MISSING
    assert refused.value.detail.startswith("Backend crm: Secret github-app, key key.pem")
    assert fetch.requests == []


async def test_a_refusal_names_backend_host_and_what_to_compare(apps: GithubApps, secret: Path) -> None:
    fetch = FakeFetch([answer({"message": "Not Found"}, 404)])
    with pytest.raises(CredentialRefused) as refused:
        await apps.mint(CONFIG, None, NONE, parts=parts(fetch))
    assert refused.value.reason is Reason.CREDENTIAL_REFUSED
    assert refused.value.detail.startswith("Backend crm: api.github.com: 404: Not Found - this App has no")


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        (FetchFailed("api.github.com:443: upstream_reset"), Reason.CREDENTIAL_UNAVAILABLE),
        (FetchFailed("would be asked in plain text", plain_text=True), Reason.CREDENTIAL_PLAIN_TEXT),
    ],
)
async def test_no_answer_is_a_refusal(
    apps: GithubApps, secret: Path, failed: FetchFailed, reason: Reason
) -> None:
    with pytest.raises(CredentialRefused, match="Backend crm") as refused:
        await apps.mint(CONFIG, None, NONE, parts=parts(FakeFetch([failed])))
    assert refused.value.reason is reason
