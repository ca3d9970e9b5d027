"""Where the token endpoint is, and what becomes of the question."""

from __future__ import annotations

import pytest

from mesh.policy.credentials import ClientAuth, ClientCredentials, ClientMethod, TokenServer
from mesh.reasons import Reason
from sidecar.credentials.fetch import FetchFailed
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.mint.client_credentials import mint
from sidecar.credentials.mint.token_endpoint import Parts
from tests.support.token_endpoint import (
    ENDPOINT,
    ISSUER,
    NOW,
    FakeFetch,
    FakeIssuers,
    answer,
    given,
    parts,
    server,
)


async def minted(where: TokenServer, used: Parts) -> Issued:
    return await mint(ClientCredentials(where), None, frozenset(), parts=used)


async def refused(where: TokenServer, used: Parts) -> CredentialRefused:
    with pytest.raises(CredentialRefused) as caught:
        await minted(where, used)
    assert caught.value.detail.startswith("Backend crm: ")
    return caught.value


async def test_the_endpoint_is_found_by_the_issuer() -> None:
    fetch = FakeFetch([given()])
    await minted(server(), parts(fetch))
    assert fetch.requests[0].url == ENDPOINT


async def test_a_written_endpoint_counts_more_than_metadata() -> None:
    fetch = FakeFetch([given()])
    await minted(server(endpoint="https://as.example/t"), parts(fetch, issuers=FakeIssuers(ISSUER)))
    assert fetch.requests[0].url == "https://as.example/t"


@pytest.mark.parametrize(
    ("where", "issuers", "said"),
    [
        (server(), FakeIssuers(ISSUER), "no answer"),
        (server(), FakeIssuers(endpoint=False), "write tokenEndpoint"),
        (server(issuer=None), FakeIssuers(), "neither issuer nor tokenEndpoint"),
    ],
)
async def test_an_endpoint_that_cannot_be_found(where: TokenServer, issuers: FakeIssuers, said: str) -> None:
    no = await refused(where, parts(FakeFetch([given()]), issuers=issuers))
    assert no.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert said in no.detail
    assert no.retry_after == (7.0 if said == "no answer" else None)


async def test_plain_text_is_a_reason_of_its_own() -> None:
    no = await refused(server(), parts(FakeFetch([FetchFailed("idp:80 in plain text", plain_text=True)])))
    assert no.reason is Reason.CREDENTIAL_PLAIN_TEXT
    no = await refused(server(), parts(FakeFetch([FetchFailed("idp:443: refused")])))
    assert (no.reason, no.detail) == (Reason.CREDENTIAL_UNAVAILABLE, "Backend crm: idp:443: refused")


async def test_a_slow_server_is_given_up_and_one_that_is_slow_enough_gives_less() -> None:
    fetch = FakeFetch([given(expires_in=30)], seconds=60.0)
    no = await refused(server(), parts(fetch))
    assert "within 10 s" in no.detail
    assert fetch.clock() == NOW + 10
    fetch = FakeFetch([given(expires_in=30)], seconds=9.0)
    assert (await minted(server(), parts(fetch))).expires == NOW + 30
    fetch = FakeFetch([given(expires_in=5)], seconds=9.0)
    assert "clocks" in (await refused(server(), parts(fetch))).detail


async def test_who_does_not_believe_our_jwt_svid_is_shown_a_new_one_next_time() -> None:
    fetch = FakeFetch([answer({"error": "invalid_client"}, 401), given()])
    used = parts(fetch)
    where = server(ClientAuth())
    no = await refused(where, used)
    assert "federated client authentication" in no.detail
    await minted(where, used)
    first, second = (request.form["client_assertion"] for request in fetch.requests)
    assert first != second


@pytest.mark.parametrize("error", ["invalid_scope", "invalid_grant"])
async def test_any_other_refusal_is_not_the_jwt_svids_fault(error: str) -> None:
    fetch = FakeFetch([answer({"error": error}, 400), given()])
    used = parts(fetch)
    where = server(ClientAuth(ClientMethod.JWT_BEARER))
    await refused(where, used)
    await minted(where, used)
    assert fetch.requests[0].form == fetch.requests[1].form


async def test_a_server_that_is_too_busy_says_when_to_come_again() -> None:
    no = await refused(server(), parts(FakeFetch([answer({}, 429, [(b"retry-after", b"12")])])))
    assert (no.reason, no.retry_after) == (Reason.CREDENTIAL_UNAVAILABLE, 12.0)


async def test_the_host_is_named_without_what_stands_before_it() -> None:
    where = server(endpoint="https://user:hunter2@as.example:8443/token")
    no = await refused(where, parts(FakeFetch([answer({"error": "invalid_client"}, 401)])))
    assert "as.example:8443: 401" in no.detail
    assert "hunter2" not in no.detail


async def test_a_missing_proof_is_told_with_the_backend() -> None:
    no = await refused(server(ClientAuth(ClientMethod.SECRET_POST)), parts(FakeFetch([given()])))
    assert no.reason is Reason.CREDENTIAL_SECRET_MISSING
