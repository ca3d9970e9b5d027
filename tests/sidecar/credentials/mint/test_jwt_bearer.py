"""Our JWT-SVID, or what a Secret holds, as the grant."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mesh.identity.jws import read_jws
from mesh.policy.credentials import ClientAuth, ClientMethod, JwtBearer, SecretKey
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.jwt_bearer import JwtBearers
from sidecar.credentials.secret_files import SecretFiles
from tests.support.token_endpoint import ENDPOINT, ISSUER, ME, FakeFetch, given, parts, proof, server

mint = JwtBearers(SecretFiles(None)).mint
HELD = SecretKey("workload", "token")
OUTSIDE = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJwb2QifQ.c2lnbmVk"


@pytest.mark.parametrize(
    ("written", "issuer", "audience"),
    [("https://as", ISSUER, "https://as"), (None, ISSUER, ISSUER), (None, None, ENDPOINT)],
)
async def test_the_grant(written: str | None, issuer: str | None, audience: str) -> None:
    fetch = FakeFetch([given()])
    where = server(ClientAuth(ClientMethod.NONE), issuer=issuer, endpoint=ENDPOINT)
    config = JwtBearer(where, written, "https://mcp.example/mcp", ("a",))
    await mint(config, None, frozenset(), parts=parts(fetch))
    form = fetch.requests[0].form
    claims = read_jws(form.pop("assertion")).claims
    assert (claims["sub"], claims["aud"]) == (str(ME), [audience])
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "scope": "a",
        "resource": "https://mcp.example/mcp",
    }


async def test_without_jwt_svids_there_is_no_grant() -> None:
    fetch = FakeFetch([given()])
    used = dataclasses.replace(parts(fetch), proof=proof(None, fetch.clock))
    with pytest.raises(CredentialRefused, match="Backend crm: our provider of identity has no JWT-SVIDs"):
        await mint(JwtBearer(server()), None, frozenset(), parts=used)
    assert fetch.requests == []


async def test_the_grant_given_back_is_no_token() -> None:
    fetch = FakeFetch([given()])
    used = parts(fetch)
    svid = await used.proof.svid(ISSUER)
    fetch.answers = [given(svid.token)]
    with pytest.raises(CredentialRefused, match="gave back"):
        await mint(JwtBearer(server()), None, frozenset(), parts=used)


def held(folder: Path, value: bytes) -> Path:
    """The Secret's file with this value."""
    file = folder / HELD.name / HELD.key
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(value)
    return file


async def test_a_token_of_a_secret_takes_the_place_of_our_jwt_svid(tmp_path: Path) -> None:
    held(tmp_path, OUTSIDE.encode() + b"\n")
    fetch = FakeFetch([given()])
    used = dataclasses.replace(parts(fetch), proof=proof(None, fetch.clock))
    config = JwtBearer(server(ClientAuth(ClientMethod.NONE, "me")), scopes=("a",), assertion=HELD)
    issued = await JwtBearers(SecretFiles(tmp_path)).mint(config, None, frozenset({"b"}), parts=used)
    assert issued.fields == [(b"authorization", b"Bearer opaque-token")]
    assert fetch.requests[0].form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": OUTSIDE,
        "scope": "a b",
        "client_id": "me",
    }


async def test_each_token_is_asked_for_with_what_the_secret_holds_then(tmp_path: Path) -> None:
    now = 0.0
    file = held(tmp_path, OUTSIDE.encode())
    mints = JwtBearers(SecretFiles(tmp_path, clock=lambda: now))
    fetch = FakeFetch([given(), given()])
    config = JwtBearer(server(ClientAuth(ClientMethod.NONE)), assertion=HELD)
    await mints.mint(config, None, frozenset(), parts=parts(fetch))
    file.write_text(OUTSIDE + "YW5ldw")
    now = 1.0
    await mints.mint(config, None, frozenset(), parts=parts(fetch))
    assert [each.form["assertion"] for each in fetch.requests] == [OUTSIDE, OUTSIDE + "YW5ldw"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "it is not mounted"),
        (b"\n", "it is empty"),
        (b"a.b.c\nd.e.f", "line breaks"),
        (b"password", "holds no JWT"),
        (b"a.b.c d", "holds no JWT"),
        (b"a.b.c.d", "holds no JWT"),
        ("é.b.c".encode(), "holds no JWT"),
    ],
)
async def test_what_is_no_jwt_goes_to_no_server(tmp_path: Path, value: bytes | None, why: str) -> None:
    if value is not None:
        held(tmp_path, value)
    fetch = FakeFetch([given()])
    config = JwtBearer(server(ClientAuth(ClientMethod.NONE)), assertion=HELD)
    with pytest.raises(CredentialRefused, match=f"Backend crm: Secret workload, key token.*{why}") as refused:
        await JwtBearers(SecretFiles(tmp_path)).mint(config, None, frozenset(), parts=parts(fetch))
    assert refused.value.reason is Reason.CREDENTIAL_SECRET_MISSING
    assert fetch.requests == []


async def test_the_token_of_a_secret_given_back_is_no_token(tmp_path: Path) -> None:
    held(tmp_path, OUTSIDE.encode())
    config = JwtBearer(server(ClientAuth(ClientMethod.NONE)), assertion=HELD)
    mints = JwtBearers(SecretFiles(tmp_path))
    used = parts(FakeFetch([given(OUTSIDE)]))
    with pytest.raises(CredentialRefused, match="gave back") as refused:
        await mints.mint(config, None, frozenset(), parts=used)
    assert OUTSIDE not in str(refused.value)
