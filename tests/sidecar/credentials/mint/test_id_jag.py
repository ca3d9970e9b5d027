"""Cross-app access in its two steps."""

from __future__ import annotations

import dataclasses

import pytest

from mesh.policy.credentials import ClientAuth, ClientMethod, IdJag, SubjectKind
from mesh.reasons import Reason
from sidecar.credentials.fetch import Fetched
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.id_jag import mint
from tests.support.token_endpoint import (
    ALICE,
    ISSUER,
    NOW,
    SECRET,
    USERS_TOKEN,
    FakeFetch,
    answer,
    given,
    jwt,
    parts,
    server,
)

TYPE = "urn:ietf:params:oauth:token-type:"
AS = "https://auth.mcp.example"
MCP = "https://mcp.example/mcp"
CLIENT = ClientAuth(ClientMethod.SECRET_BASIC, "triage-at-mcp", secret=SECRET)
CONFIG = IdJag(server(), server(CLIENT, issuer=AS), MCP, scopes=("read", "write"))
NONE: frozenset[str] = frozenset()
JAG = jwt(iss=ISSUER, sub="alice", aud=AS, resource=MCP, client_id="triage-at-mcp", exp=NOW + 300)
SECRETS = {SECRET: b"password"}


def vouched(token: str = JAG, **more: object) -> Fetched:
    said = {
        "access_token": token,
        "token_type": "N_A",
        "issued_token_type": TYPE + "id-jag",
        "expires_in": 300,
    }
    return answer(said | more)


async def test_both_steps() -> None:
    fetch = FakeFetch([vouched(scope="read"), given("for-mcp")])
    issued = await mint(CONFIG, ALICE, NONE, parts=parts(fetch, secrets=SECRETS))
    assert issued.fields == [(b"authorization", b"Bearer for-mcp")]
    assert issued.scopes == {"read"}
    first, second = fetch.requests
    assert first.url.startswith(ISSUER)
    assert first.form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "resource": MCP,
        "audience": AS,
        "scope": "read write",
        "requested_token_type": TYPE + "id-jag",
        "subject_token": USERS_TOKEN,
        "subject_token_type": TYPE + "id_token",
        "client_id": "triage",
    }
    assert second.url.startswith(AS)
    assert second.form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": JAG,
        "resource": MCP,
    }
    assert second.basic == ("triage-at-mcp", "password")


async def test_the_audience_may_be_written() -> None:
    config = dataclasses.replace(
        CONFIG,
        server=server(CLIENT, issuer=None, endpoint="https://auth.mcp.example/token"),
        audience="https://issuer.mcp.example",
        subject=SubjectKind.ACCESS_TOKEN,
    )
    fetch = FakeFetch([vouched("opaque-assertion"), given()])
    await mint(config, ALICE, NONE, parts=parts(fetch, secrets=SECRETS))
    form = fetch.requests[0].form
    assert (form["audience"], form["subject_token_type"]) == (
        "https://issuer.mcp.example",
        TYPE + "access_token",
    )
    assert fetch.requests[1].url == "https://auth.mcp.example/token"


async def refused(fetch: FakeFetch, config: IdJag = CONFIG) -> CredentialRefused:
    with pytest.raises(CredentialRefused) as caught:
        await mint(config, ALICE, NONE, parts=parts(fetch, secrets=SECRETS))
    return caught.value


@pytest.mark.parametrize(
    "answered",
    [
        vouched(jwt(aud="https://auth.evil.example")),
        vouched(issued_token_type=TYPE + "access_token"),
        vouched(issued_token_type=None),
        vouched(token_type="DPoP"),
        vouched(USERS_TOKEN),
    ],
)
async def test_an_assertion_that_is_none_goes_nowhere(answered: Fetched) -> None:
    fetch = FakeFetch([answered, given()])
    assert (await refused(fetch)).reason is Reason.CREDENTIAL_ANSWER_INVALID
    assert len(fetch.requests) == 1


@pytest.mark.parametrize(
    "answered", [given(JAG), vouched("x"), given(token_type="N_A"), given(issued_token_type=TYPE + "id-jag")]
)
async def test_the_second_answer_has_to_be_a_bearer_token(answered: Fetched) -> None:
    assert (await refused(FakeFetch([vouched(), answered]))).reason is Reason.CREDENTIAL_ANSWER_INVALID


async def test_who_said_no_is_named() -> None:
    no = await refused(FakeFetch([vouched(), answer({"error": "invalid_grant"}, 400)]))
    assert no.reason is Reason.CREDENTIAL_REFUSED
    assert "auth.mcp.example: 400 invalid_grant" in no.detail


async def test_without_a_user_or_an_audience_nothing_is_asked() -> None:
    fetch = FakeFetch([vouched()])
    with pytest.raises(CredentialRefused) as caught:
        await mint(CONFIG, None, NONE, parts=parts(fetch))
    assert caught.value.reason is Reason.SUBJECT_MISSING
    nameless = dataclasses.replace(CONFIG, server=server(issuer=None, endpoint="https://as.example/token"))
    assert "server.issuer or audience" in (await refused(fetch, nameless)).detail
    assert fetch.requests == []
