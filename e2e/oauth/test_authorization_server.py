"""The authorization server of these tests is one: it gives what it should, and nothing passes that should not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.conftest import skip
from e2e.environments import Unavailable
from e2e.oauth.asking import SECRET, Answer, Form, ask, basic, send
from e2e.oauth.running import OAuthServer, WebAuthority, oauth_server, web_authority
from e2e.oauth.strict import (
    ACCESS_TOKEN,
    CLIENT_CREDENTIALS,
    FORM,
    ID_JAG,
    ID_TOKEN,
    JWT,
    JWT_BEARER,
    JWT_BEARER_ASSERTION,
    JWT_SPIFFE_ASSERTION,
    TOKEN_EXCHANGE,
)
from mesh.identity.bundle_document import write_jwks
from mesh.identity.jwt_svid import issue_jwt_svid, make_jwt_key
from mesh.identity.spiffe_id import SpiffeId

DOMAIN = "mesh.test"
AGENT = SpiffeId.parse(f"spiffe://{DOMAIN}/ns/agents/sa/triage")
STRANGER = SpiffeId.parse(f"spiffe://{DOMAIN}/ns/agents/sa/stranger")
CRM = "https://crm.example"
OTHER = "https://other.example"
SVID_KEY = make_jwt_key()
SIGNING = ec.generate_private_key(ec.SECP256R1())
ALL = [CLIENT_CREDENTIALS, TOKEN_EXCHANGE, JWT_BEARER]


def _clients() -> list[dict[str, Any]]:
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(SIGNING.public_key()))
    common = {
        "grants": ALL,
        "scopes": ["read", "write"],
        "targets": [CRM],
        "audiences": ["https://triage.example"],
    }
    return [
        {"id": "basic", "methods": ["client_secret_basic", "client_secret_post"], "secret": SECRET, **common},
        {"id": "signs", "methods": ["private_key_jwt"], "jwks": {"keys": [{**public, "kid": "1"}]}, **common},
        {
            "id": "triage",
            "methods": ["svid_jwt_spiffe", "svid_jwt_bearer", "none"],
            "spiffe_id": str(AGENT),
            **common,
        },
    ]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> WebAuthority:
    return web_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, authority: WebAuthority) -> Iterator[OAuthServer]:
    folder = tmp_path_factory.mktemp("server")
    bundle = folder / "bundle.json"
    bundle.write_bytes(write_jwks({SVID_KEY.key_id: SVID_KEY.public}))
    try:
        with oauth_server(folder, authority, clients=_clients(), bundles={DOMAIN: str(bundle)}) as server:
            yield server
    except Unavailable as reason:
        skip("the authorization server", reason)


@pytest.fixture
def server(running: OAuthServer) -> OAuthServer:
    running.clear()
    return running


def _svid(server: OAuthServer, of: SpiffeId = AGENT, *audience: str, age: int = 0) -> str:
    issued = datetime.now(UTC) - timedelta(seconds=age)
    return issue_jwt_svid(SVID_KEY, of, audience or (server.issuer,), issued, timedelta(minutes=5))


def _spiffe(server: OAuthServer) -> Form:
    return [("client_assertion_type", JWT_SPIFFE_ASSERTION), ("client_assertion", _svid(server))]


def _signed(server: OAuthServer, **changed: Any) -> Form:
    now = int(time.time())
    claims = {
        "iss": "signs",
        "sub": "signs",
        "aud": server.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid4()),
    }
    claims = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    assertion = jwt.encode(claims, SIGNING, "ES256", {"kid": "1"})
    return [("client_assertion_type", JWT_BEARER_ASSERTION), ("client_assertion", assertion)]


def _claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def _clean(server: OAuthServer) -> None:
    assert (server.violations, server.refusals) == ([], [])


def test_metadata_name_the_issuer_and_its_keys(server: OAuthServer) -> None:
    status, _, body = send(server, "", [], "/.well-known/oauth-authorization-server", "GET")
    metadata = json.loads(body)
    assert (status, metadata["issuer"], metadata["token_endpoint"]) == (
        200,
        server.issuer,
        server.token_endpoint,
    )
    assert server.counts == {"metadata": 1}


def test_a_client_gets_a_token_for_the_resource_that_it_asked_for(server: OAuthServer) -> None:
    status, answer = ask(
        server, [("grant_type", CLIENT_CREDENTIALS), ("resource", CRM), ("scope", "read")], basic()
    )
    claims = _claims(answer["access_token"])
    assert (status, claims["aud"], claims["sub"], claims["scope"]) == (200, CRM, "basic", "read")
    assert server.counts[CLIENT_CREDENTIALS] == 1
    _clean(server)


@pytest.mark.parametrize(
    "proof",
    [
        lambda server: [("client_id", "basic"), ("client_secret", SECRET)],
        lambda server: _signed(server),
        _spiffe,
        lambda server: [("client_assertion_type", JWT_BEARER_ASSERTION), ("client_assertion", _svid(server))],
    ],
    ids=["secret-post", "private-key", "jwt-spiffe", "svid-as-jwt-bearer"],
)
def test_each_proof_of_a_client_is_taken(server: OAuthServer, proof: Callable[[OAuthServer], Form]) -> None:
    status, answer = ask(server, [("grant_type", CLIENT_CREDENTIALS), *proof(server)])
    assert (status, answer["token_type"]) == (200, "Bearer")
    _clean(server)


def _exchange(server: OAuthServer, token: str, *more: tuple[str, str]) -> Answer:
    form = [("grant_type", TOKEN_EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)]
    return ask(server, [*form, *more, *_spiffe(server)])


def test_an_exchange_keeps_the_user_and_narrows_audience_and_scope(server: OAuthServer) -> None:
    user = server.sign_in(sub="alice", aud="https://triage.example", scope="read write", client_id="web")
    status, answer = _exchange(server, user, ("audience", CRM), ("scope", "read"))
    claims = _claims(answer["access_token"])
    assert (status, answer["issued_token_type"]) == (200, ACCESS_TOKEN)
    assert (claims["sub"], claims["aud"], claims["scope"], claims["client_id"]) == (
        "alice",
        CRM,
        "read",
        "triage",
    )
    assert "act" not in claims
    _clean(server)


def test_actors_make_a_chain_the_last_one_outermost(server: OAuthServer) -> None:
    before = {"act": {"sub": "spiffe://mesh.test/ns/agents/sa/first"}}
    user = server.sign_in(sub="alice", aud="https://triage.example", scope="read", claims=before)
    actor = [("actor_token", _svid(server)), ("actor_token_type", JWT)]
    _, answer = _exchange(server, user, ("resource", CRM), *actor)
    assert _claims(answer["access_token"])["act"] == {"sub": str(AGENT), **before}
    _clean(server)


@pytest.mark.parametrize(
    ("wanted", "more", "error"),
    [
        ({"aud": OTHER}, [("audience", CRM)], "invalid_request"),
        ({"seconds": -60}, [("audience", CRM)], "invalid_request"),
        ({"claims": {"iss": OTHER}}, [("audience", CRM)], "invalid_request"),
        ({}, [("audience", OTHER)], "invalid_target"),
        ({}, [("audience", CRM), ("scope", "read admin")], "invalid_scope"),
        ({"kind": "id_token"}, [("audience", CRM)], "invalid_request"),
    ],
    ids=["of another audience", "expired", "of another issuer", "other target", "wider scope", "typ"],
)
def test_an_exchange_is_refused(server: OAuthServer, wanted: dict[str, Any], more: Form, error: str) -> None:
    user = server.sign_in(**{"sub": "alice", "aud": "https://triage.example", "scope": "read", **wanted})
    status, answer = _exchange(server, user, *more)
    assert (status, answer["error"]) == (400, error)
    assert not server.granted


def test_a_token_whose_signature_was_changed_is_refused(server: OAuthServer) -> None:
    user = server.sign_in(sub="alice", aud="https://triage.example")
    head, payload, signature = user.split(".")
    changed = "A" if signature[10] != "A" else "B"
    status, answer = _exchange(server, f"{head}.{payload}.{signature[:10]}{changed}{signature[11:]}")
    assert (status, answer["error"]) == (400, "invalid_request")


def test_the_actor_has_to_be_the_client(server: OAuthServer) -> None:
    user = server.sign_in(sub="alice", aud="https://triage.example")
    actor = [("actor_token", _svid(server, STRANGER)), ("actor_token_type", JWT)]
    status, _ = _exchange(server, user, ("audience", CRM), *actor)
    assert status == 400
    assert "acts" in server.violations[0]


def test_a_workload_gets_a_token_for_its_svid(server: OAuthServer) -> None:
    form = [("grant_type", JWT_BEARER), ("assertion", _svid(server)), ("resource", CRM), ("scope", "read")]
    status, answer = ask(server, form)
    claims = _claims(answer["access_token"])
    assert (status, claims["sub"], claims["aud"], claims["client_id"]) == (200, str(AGENT), CRM, "triage")
    _clean(server)


@pytest.mark.parametrize("audience", [(OTHER,), (OTHER, "issuer")])
def test_an_svid_for_another_audience_is_no_grant(server: OAuthServer, audience: tuple[str, ...]) -> None:
    named = [server.issuer if one == "issuer" else one for one in audience]
    status, answer = ask(server, [("grant_type", JWT_BEARER), ("assertion", _svid(server, AGENT, *named))])
    assert (status, answer["error"]) == (400, "invalid_grant")


def _id_jag(server: OAuthServer, audience: str) -> str:
    token = server.sign_in(sub="alice", aud="basic", kind="id_token")
    form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("subject_token", token),
        ("subject_token_type", ID_TOKEN),
        ("audience", audience),
        ("resource", CRM),
        ("scope", "read"),
    ]
    status, answer = ask(server, form, basic())
    assert (status, answer["token_type"], answer["issued_token_type"]) == (200, "N_A", ID_JAG)
    return str(answer["access_token"])


def test_an_id_jag_is_issued_by_one_server_and_redeemed_at_another(
    tmp_path: Path, authority: WebAuthority
) -> None:
    client = {
        "id": "basic",
        "methods": ["client_secret_basic"],
        "secret": SECRET,
        "grants": ALL,
        "scopes": ["read"],
    }
    with oauth_server(tmp_path / "idp", authority, clients=[client]) as idp:
        trusted = {idp.issuer: idp.jwks_uri}
        with oauth_server(tmp_path / "as", authority, clients=[client], issuers=trusted) as server:
            grant = _id_jag(idp, server.issuer)
            status, answer = ask(server, [("grant_type", JWT_BEARER), ("assertion", grant)], basic())
            claims = _claims(answer["access_token"])
            assert (status, claims["sub"], claims["aud"], claims["scope"]) == (200, "alice", CRM, "read")
            _clean(idp)
            _clean(server)
            assert ask(server, [("grant_type", JWT_BEARER), ("assertion", grant)], basic())[0] == 400
            assert server.violations == ["the ID-JAG was used before"]


BASE = [("grant_type", CLIENT_CREDENTIALS)]


@pytest.mark.parametrize(
    ("form", "headers", "words"),
    [
        ([*BASE, ("scope", "read"), ("scope", "write")], [basic()], "scope is sent 2 times"),
        ([*BASE, ("audience", CRM)], [basic()], "not for this grant: audience"),
        ([*BASE, ("scope", "")], [basic()], "without a value"),
        ([*BASE, ("scope", "read  write")], [basic()], "grammar"),
        ([*BASE, ("resource", "crm")], [basic()], "no absolute URI"),
        ([*BASE, ("resource", CRM + "#x")], [basic()], "without fragment"),
        ([*BASE, ("client_id", "basic"), ("client_secret", SECRET)], [basic()], "more than one way"),
        (BASE, [], "does not prove itself"),
        (BASE, [basic(), basic()], "several Authorization"),
        (BASE, [("Authorization", "Bearer abc")], "no Basic"),
        (BASE, [basic(), ("Cookie", "a=b")], "Cookie"),
        ([("grant_type", "password")], [basic()], "grant type password"),
        ([*BASE, ("client_assertion", "a.b.c")], [], "belong together"),
    ],
)
def test_a_violation_is_refused_and_recorded(
    server: OAuthServer, form: Form, headers: list[tuple[str, str]], words: str
) -> None:
    status, answer = ask(server, form, *headers)
    assert (status, answer["error"]) == (400, "invalid_request")
    assert len(server.violations) == 1
    assert words in server.violations[0]


@pytest.mark.parametrize("kind", [FORM + "; charset=utf-8", "application/json", FORM.upper()])
def test_the_content_type_is_exactly_that_of_a_form(server: OAuthServer, kind: str) -> None:
    assert send(server, urlencode(BASE), [("Content-Type", kind), basic()])[0] == 400
    assert "content type" in server.violations[0]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"aud": OTHER}, "aud"),
        ({"exp": 1}, "exp"),
        ({"iss": "somebody"}, "Issuer and Subject"),
        ({"jti": None}, "JWT ID"),
    ],
)
def test_a_wrong_client_assertion_is_refused(
    server: OAuthServer, changed: dict[str, Any], words: str
) -> None:
    status, answer = ask(server, [*BASE, *_signed(server, **changed)])
    assert (answer["error"], status >= 400) == ("invalid_client", True)
    assert words in server.refusals[0]


def test_a_client_assertion_is_taken_once(server: OAuthServer) -> None:
    proof = _signed(server)
    assert [ask(server, [*BASE, *proof])[0] for _ in range(2)] == [200, 400]
    assert "used before" in server.violations[0]


@pytest.mark.parametrize("of", [STRANGER, SpiffeId.parse("spiffe://foreign.test/ns/agents/sa/triage")])
def test_an_unknown_workload_is_no_client(server: OAuthServer, of: SpiffeId) -> None:
    proof = [("client_assertion_type", JWT_SPIFFE_ASSERTION), ("client_assertion", _svid(server, of))]
    assert ask(server, [*BASE, *proof])[1]["error"] == "invalid_client"


def test_introspection_tells_of_a_token_until_it_is_revoked(server: OAuthServer) -> None:
    token = server.sign_in(sub="alice", aud="https://triage.example", scope="read")
    asked = [("token", token)]
    status, answer = ask(server, asked, basic(), path="/introspect")
    assert (status, answer["active"], answer["sub"]) == (200, True, "alice")
    server.revoke(token)
    assert ask(server, asked, basic(), path="/introspect")[1] == {"active": False}
    assert ask(server, [("token", "no-token")], basic(), path="/introspect")[1] == {"active": False}
    assert server.violations == []


def test_keys_rotate_and_old_tokens_end_with_them(server: OAuthServer) -> None:
    user = server.sign_in(sub="alice", aud="https://triage.example")
    server.rotate(retire=False, kind="RSA")
    assert _exchange(server, user, ("audience", CRM))[0] == 200
    server.rotate(retire=True)
    assert _exchange(server, user, ("audience", CRM))[0] == 400


@pytest.mark.parametrize(
    ("how", "seen"),
    [
        ({"status": 503}, 503),
        ({"lie": "redirect", "location": OTHER}, 307),
        ({"lie": "html"}, 200),
        ({"lie": "other-audience"}, 200),
        ({"lie": "subject-back"}, 200),
    ],
)
def test_it_misbehaves_when_told_and_as_often(server: OAuthServer, how: dict[str, Any], seen: int) -> None:
    user = server.sign_in(sub="alice", aud="https://triage.example")
    server.behave(**how, times=1)
    form = [("grant_type", TOKEN_EXCHANGE), ("subject_token", user), ("subject_token_type", ACCESS_TOKEN)]
    body = urlencode([*form, ("audience", CRM), *_spiffe(server)])
    status, headers, answer = send(server, body, [("Content-Type", FORM)])
    assert status == seen
    match how.get("lie"):
        case "redirect":
            assert headers["Location"] == OTHER
        case "html":
            assert headers["Content-Type"] == "text/html"
        case "other-audience":
            assert _claims(json.loads(answer)["access_token"])["aud"] == "https://somebody.else.example"
        case "subject-back":
            assert json.loads(answer)["access_token"] == user
    assert _exchange(server, user, ("audience", CRM))[0] == 200
