"""The user's token for one of the Backend, as the server reads the request."""

from __future__ import annotations

import pytest

from mesh.identity.jws import read_jws
from mesh.policy.credentials import ClientAuth, ClientMethod, Exchange, Preset, SubjectKind, WithoutUser
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.exchange import mint
from tests.support.token_endpoint import (
    ALICE,
    ENDPOINT,
    ISSUER,
    ME,
    NOW,
    SECRET,
    USERS_TOKEN,
    FakeFetch,
    given,
    jwt,
    parts,
    server,
)

NONE: frozenset[str] = frozenset()
TYPE = "urn:ietf:params:oauth:token-type:"
SPIFFE = server(ClientAuth())
TOKEN = jwt(sub="alice", aud=["crm"], azp="triage", exp=NOW + 250)


async def test_an_exchange_at_keycloak_with_our_jwt_svid() -> None:
    fetch = FakeFetch([given(TOKEN, scope="orders.read profile", issued_token_type=TYPE + "access_token")])
    config = Exchange(SPIFFE, Preset.KEYCLOAK, audience="crm", scopes=("orders.read",), actor=True)
    issued = await mint(config, ALICE, NONE, parts=parts(fetch))
    assert issued.fields == [(b"authorization", b"Bearer " + TOKEN.encode())]
    assert issued.secrets == (TOKEN.encode(),)
    assert issued.expires == NOW + 250
    assert issued.scopes == {"orders.read", "profile"}
    (request,) = fetch.requests
    assert (request.method, request.url) == ("POST", ENDPOINT)
    assert (b"content-type", b"application/x-www-form-urlencoded") in request.headers
    assert (b"accept", b"application/json") in request.headers
    form = request.form
    assertion = read_jws(form.pop("client_assertion"))
    assert (assertion.claims["sub"], assertion.claims["aud"]) == (str(ME), [ISSUER])
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": "crm",
        "scope": "orders.read",
        "requested_token_type": TYPE + "access_token",
        "subject_token": USERS_TOKEN,
        "subject_token_type": TYPE + "access_token",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
    }


async def test_the_actor_is_our_jwt_svid_for_the_server() -> None:
    fetch = FakeFetch([given()])
    config = Exchange(SPIFFE, resource="https://crm.example/mcp", subject=SubjectKind.JWT, actor=True)
    used = parts(fetch)
    await mint(config, ALICE, NONE, parts=used)
    form = fetch.requests[0].form
    assert form["actor_token_type"] == TYPE + "jwt"
    assert form["subject_token_type"] == TYPE + "jwt"
    assert form["resource"] == "https://crm.example/mcp"
    actor = read_jws(form["actor_token"])
    assert (actor.claims["sub"], actor.claims["aud"]) == (str(ME), [ISSUER])


@pytest.mark.parametrize(
    ("client", "issuer", "audience"),
    [
        (ClientAuth(audience="https://as"), ISSUER, "https://as"),
        (ClientAuth(ClientMethod.NONE), None, "https://elsewhere.example/token"),
    ],
)
async def test_whom_the_actor_token_is_for(client: ClientAuth, issuer: str | None, audience: str) -> None:
    fetch = FakeFetch([given()])
    endpoint = "https://elsewhere.example/token"
    await mint(
        Exchange(server(client, issuer=issuer, endpoint=endpoint), actor=True),
        ALICE,
        NONE,
        parts=parts(fetch),
    )
    assert fetch.requests[0].url == endpoint
    assert read_jws(fetch.requests[0].form["actor_token"]).claims["aud"] == [audience]


async def test_on_behalf_of_at_entra() -> None:
    fetch = FakeFetch([given(jwt(aud="api-of-crm"))])
    client = ClientAuth(ClientMethod.JWT_BEARER, "app-id", "api://AzureADTokenExchange")
    config = Exchange(
        server(client), Preset.ENTRA, audience="ignored", scopes=("api://crm/.default",), actor=True
    )
    await mint(config, ALICE, NONE, parts=parts(fetch))
    form = fetch.requests[0].form
    assert read_jws(form.pop("client_assertion")).claims["aud"] == ["api://AzureADTokenExchange"]
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": USERS_TOKEN,
        "scope": "api://crm/.default",
        "requested_token_use": "on_behalf_of",
        "client_id": "app-id",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }


async def test_more_scopes_are_asked_for_after_the_credentials_own_each_once() -> None:
    fetch = FakeFetch([given()])
    config = Exchange(SPIFFE, scopes=("z", "b"))
    await mint(config, ALICE, frozenset({"c", "a", "b"}), parts=parts(fetch))
    assert fetch.requests[0].form["scope"] == "z b a c"


async def test_a_secret_in_basic_is_no_parameter() -> None:
    fetch = FakeFetch([given()])
    client = ClientAuth(ClientMethod.SECRET_BASIC, "tri:age", secret=SECRET)
    await mint(Exchange(server(client)), ALICE, NONE, parts=parts(fetch, secrets={SECRET: b"p w"}))
    (request,) = fetch.requests
    assert request.basic == ("tri:age", "p w")
    assert "client_id" not in request.form


async def test_without_a_user_nothing_is_asked() -> None:
    fetch = FakeFetch([given()])
    with pytest.raises(CredentialRefused) as caught:
        await mint(Exchange(SPIFFE), None, NONE, parts=parts(fetch))
    assert caught.value.reason is Reason.SUBJECT_MISSING
    assert "Backend crm" in caught.value.detail
    assert fetch.requests == []


async def test_the_agent_may_act_for_itself_where_the_backend_says_so() -> None:
    fetch = FakeFetch([given(jwt(aud="crm"))])
    config = Exchange(
        SPIFFE,
        audience="crm",
        resource="https://crm.example",
        scopes=("a",),
        actor=True,
        without_user=WithoutUser.CLIENT_CREDENTIALS,
    )
    await mint(config, None, NONE, parts=parts(fetch))
    form = fetch.requests[0].form
    assert form["grant_type"] == "client_credentials"
    assert (form["scope"], form["audience"], form["resource"]) == ("a", "crm", "https://crm.example")
    assert not {"subject_token", "actor_token"} & form.keys()
    await mint(config, ALICE, NONE, parts=parts(fetch))
    assert fetch.requests[1].form["subject_token"] == USERS_TOKEN
