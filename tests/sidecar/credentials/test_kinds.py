"""Every kind of credential has a name and a way, and those that nobody issues say so."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from mesh.policy import credentials as policy
from mesh.policy.credentials import (
    ClientCredentials,
    Credential,
    Exchange,
    GithubApp,
    Hidden,
    IdJag,
    JwtBearer,
    SecretKey,
    StaticSecret,
    SvidToken,
    Vault,
    WithoutUser,
)
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.kinds import NAMES, Kinds
from sidecar.credentials.secret_files import SecretFiles
from tests.support.credentials import backend
from tests.support.token_endpoint import ALICE, ENDPOINT, ISSUER, FakeFetch, given, parts, server

KEY = SecretKey("a", "b")
SERVER = server()
ALL: list[tuple[Credential, str, str]] = [
    (Exchange(SERVER), "exchange", ISSUER),
    (ClientCredentials(server(endpoint=ENDPOINT, issuer=None)), "clientCredentials", ENDPOINT),
    (JwtBearer(SERVER), "jwtBearer", ISSUER),
    (IdJag(SERVER, server(issuer="https://other"), "https://crm"), "idJag", ISSUER),
    (SvidToken("a"), "svid", ""),
    (StaticSecret(KEY), "secret", ""),
    (GithubApp("1", "2", KEY), "githubApp", "https://api.github.com"),
    (Vault("https://vault", "r", "p", "f"), "vault", "https://vault"),
    (Hidden(("A",)), "hidden", ""),
]


def kinds(fetch: FakeFetch, folder: Path | None = None) -> Kinds:
    made = parts(fetch)
    return Kinds(made.fetch, made.issuers, made.proof, SecretFiles(folder), made.now)


@pytest.mark.parametrize(("credential", "name", "asked"), ALL)
def test_a_credential_is_called_as_users_write_it(credential: Credential, name: str, asked: str) -> None:
    made = kinds(FakeFetch([given()]))
    assert (made.kind(credential), made.server(credential)) == (name, asked)


def test_no_kind_is_missing() -> None:
    assert set(NAMES) == set(get_args(policy.Credential)) == {type(one) for one, _, _ in ALL}


@pytest.mark.parametrize(
    "credential",
    [
        Exchange(SERVER),
        Exchange(SERVER, without_user=WithoutUser.CLIENT_CREDENTIALS),
        ClientCredentials(SERVER),
        JwtBearer(SERVER),
    ],
)
async def test_a_kind_is_had_in_its_way_with_the_additional_scopes(credential: Credential) -> None:
    fetch = FakeFetch([given("fresh")])
    issued = await kinds(fetch).mint(backend(credential), ALICE, frozenset({"crm.write"}))
    assert issued.fields == [(b"authorization", b"Bearer fresh")]
    assert fetch.requests[-1].form["scope"] == "crm.write"


@pytest.mark.parametrize("credential", [StaticSecret(KEY), Hidden(("A",)), None])
async def test_what_nobody_issues_is_not_asked_for(credential: Credential | None) -> None:
    fetch = FakeFetch([given()])
    with pytest.raises(CredentialRefused, match="Backend crm") as refused:
        await kinds(fetch).mint(backend(credential), None, frozenset())
    assert refused.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert fetch.requests == []
