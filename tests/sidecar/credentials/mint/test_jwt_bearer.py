"""Our JWT-SVID as the grant."""

from __future__ import annotations

import dataclasses

import pytest

from mesh.identity.jws import read_jws
from mesh.policy.credentials import ClientAuth, ClientMethod, JwtBearer
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.jwt_bearer import mint
from tests.support.token_endpoint import ENDPOINT, ISSUER, ME, FakeFetch, given, parts, proof, server


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
