"""What Keycloak itself accepts and refuses, in plain HTTP: the ground that the sidecar's credentials stand on.

When a version of Keycloak changes its mind about any of it, a test here says so before one of ours is puzzling.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from e2e.keycloak.grants import JWT_BEARER, claims, client_credentials, exchange, granted, refused
from e2e.keycloak.handmade import Handmade
from e2e.keycloak.server import Keycloak, call
from e2e.keycloak.trust_domain import TrustDomain

UNKNOWN = (401, "invalid_client", "Invalid client or Invalid client credentials")
BY_RIGHT_NAME_ONLY = (400, "invalid_client", "client_id parameter does not match authenticated client")
LIFETIME = 300


def test_a_jwt_svid_proves_the_client_whose_subject_it_has(keycloak: Keycloak, mesh: TrustDomain) -> None:
    svid = mesh.jwt_svid("orchestrator", keycloak.issuer)
    for _again in range(2):
        answer = client_credentials(keycloak, svid, scope="repo:read")
        said = claims(granted(answer))
        assert (said["azp"], said["scope"]) == ("orchestrator", "repo:read")
        assert sorted(said["aud"]) == ["mcp-github", "worker"]
        assert LIFETIME - 2 <= answer.json()["expires_in"] <= LIFETIME


def test_a_client_need_not_say_its_name_but_must_not_say_another(
    keycloak: Keycloak, mesh: TrustDomain
) -> None:
    svid = mesh.jwt_svid("orchestrator", keycloak.issuer)
    granted(client_credentials(keycloak, svid, client_id="orchestrator"))
    assert refused(client_credentials(keycloak, svid, client_id="worker")) == BY_RIGHT_NAME_ONLY
    assert refused(client_credentials(keycloak, svid, client_id=mesh.id("orchestrator"))) == UNKNOWN


def test_a_jwt_svid_with_iss_proves_a_client_as_any_openid_token_does(
    keycloak: Keycloak, mesh: TrustDomain
) -> None:
    svid = mesh.jwt_svid("batch", keycloak.issuer)
    for _again in range(2):
        assert claims(granted(client_credentials(keycloak, svid, JWT_BEARER)))["azp"] == "batch"


def test_each_client_is_proved_by_one_kind_of_assertion(keycloak: Keycloak, mesh: TrustDomain) -> None:
    spiffe, oidc = (mesh.jwt_svid(name, keycloak.issuer) for name in ("orchestrator", "batch"))
    assert refused(client_credentials(keycloak, spiffe, JWT_BEARER)) == UNKNOWN
    assert refused(client_credentials(keycloak, oidc)) == UNKNOWN


@pytest.mark.parametrize(
    ("audience", "refusal"),
    [
        (("https://other.example",), (400, "invalid_client", "Invalid token audience")),
        (("{token}",), (400, "invalid_client", "Invalid token audience")),
        (("{issuer}", "https://other.example"), (400, "invalid_client", "Multiple audiences not allowed")),
    ],
    ids=["another", "the token endpoint", "the issuer and another"],
)
def test_an_assertion_must_be_for_the_issuer_alone(
    keycloak: Keycloak, mesh: TrustDomain, audience: tuple[str, ...], refusal: object
) -> None:
    meant = (each.format(token=keycloak.token_endpoint, issuer=keycloak.issuer) for each in audience)
    assert refused(client_credentials(keycloak, mesh.jwt_svid("orchestrator", *meant))) == refusal


def test_who_is_no_client_is_refused(keycloak: Keycloak, mesh: TrustDomain, stranger: TrustDomain) -> None:
    for domain, account in ((mesh, "nobody"), (stranger, "orchestrator")):
        svid = domain.jwt_svid(account, keycloak.issuer)
        assert refused(client_credentials(keycloak, svid)) == UNKNOWN
    svid = mesh.jwt_svid("orchestrator", keycloak.issuer)
    assert refused(client_credentials(keycloak, svid[:-8] + "AAAAAAAA")) == UNKNOWN


def test_a_trust_domain_cannot_sign_for_clients_of_another(
    keycloak: Keycloak, mesh: TrustDomain, forger: Handmade
) -> None:
    granted(client_credentials(keycloak, forger.svid()))
    assert refused(client_credentials(keycloak, forger.svid(sub=mesh.id("orchestrator")))) == UNKNOWN


@pytest.mark.parametrize(
    ("wrong", "description"),
    [
        ({"seconds": -1}, "Token is not active"),
        ({"without": "exp"}, "Token exp claim is required"),
        ({"iat": 100}, "Token was issued in the future"),
        ({"nbf": 100}, "Token is not active"),
        ({"iat": -4000}, "Token was issued too far in the past to be used now"),
        ({"without": "aud"}, "Invalid token audience"),
    ],
    ids=["expired", "for ever", "of the future", "not yet", "old", "for nobody"],
)
def test_dates_of_an_assertion_are_looked_at_without_leeway(
    keycloak: Keycloak, forger: Handmade, wrong: dict[str, Any], description: str
) -> None:
    dates = {name: int(time.time()) + wrong[name] for name in ("iat", "nbf") if name in wrong}
    answer = client_credentials(keycloak, forger.svid(**{**wrong, **dates}))
    assert refused(answer) == (400, "invalid_client", description)


def test_an_exchanged_token_is_the_users_and_for_the_one_audience(
    keycloak: Keycloak, mesh: TrustDomain
) -> None:
    svid, alice = mesh.jwt_svid("orchestrator", keycloak.issuer), keycloak.token("alice")
    answer = exchange(keycloak, svid, alice, audience="mcp-github", scope="repo:read")
    token, before = claims(granted(answer)), claims(alice)
    assert (token["aud"], token["azp"], token["scope"]) == ("mcp-github", "orchestrator", "repo:read")
    assert (token["sub"], token["sid"]) == (before["sub"], before["sid"])
    assert "act" not in token, "this version does not say who acts"
    assert answer.json()["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert answer.json()["token_type"] == "Bearer"
    assert "refresh_token" not in answer.json()


def test_without_audience_a_token_is_for_all_that_the_client_reaches(
    keycloak: Keycloak, mesh: TrustDomain
) -> None:
    svid, alice = mesh.jwt_svid("orchestrator", keycloak.issuer), keycloak.token("alice")
    for ignored in ({}, {"resource": "https://mcp.example/mcp"}):
        token = granted(exchange(keycloak, svid, alice, **ignored))
        assert sorted(claims(token)["aud"]) == ["mcp-github", "worker"]


def test_each_hop_exchanges_what_it_was_given(keycloak: Keycloak, mesh: TrustDomain) -> None:
    first, second = (mesh.jwt_svid(name, keycloak.issuer) for name in ("orchestrator", "worker"))
    alice = keycloak.token("alice")
    assert refused(exchange(keycloak, second, alice, audience="mcp-github")) == (
        403,
        "access_denied",
        "Client is not within the token audience",
    )
    passed_on = granted(exchange(keycloak, first, alice, audience="worker"))
    last = claims(granted(exchange(keycloak, second, passed_on, audience="mcp-github", scope="repo:read")))
    assert (last["azp"], last["aud"], last["sub"]) == ("worker", "mcp-github", claims(alice)["sub"])


@pytest.mark.parametrize(
    ("account", "asked", "refusal"),
    [
        (
            "idle",
            {},
            (400, "invalid_request", "Standard token exchange is not enabled for the requested client"),
        ),
        (
            "orchestrator",
            {"audience": "frontend"},
            (400, "invalid_request", "Requested audience not available: frontend"),
        ),
        ("orchestrator", {"audience": "nowhere"}, (400, "invalid_client", "Audience not found")),
        ("orchestrator", {"scope": "admin"}, (400, "invalid_scope", "Invalid scopes: admin")),
        ("orchestrator", {"subject_token": "x.y.z"}, (400, "invalid_request", "Invalid token")),
        (
            "orchestrator",
            {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"},
            (400, "invalid_request", "Parameter 'subject_token' supports access tokens only"),
        ),
    ],
    ids=["not enabled", "not reached", "no such audience", "not its scope", "no token", "typed jwt"],
)
def test_exchanges_are_refused(
    keycloak: Keycloak, mesh: TrustDomain, account: str, asked: dict[str, str], refusal: object
) -> None:
    svid, alice = mesh.jwt_svid(account, keycloak.issuer), keycloak.token("alice")
    assert refused(exchange(keycloak, svid, alice, **{"audience": "mcp-github", **asked})) == refusal


def test_a_session_that_ended_ends_the_exchange(keycloak: Keycloak, mesh: TrustDomain) -> None:
    svid, alice = mesh.jwt_svid("orchestrator", keycloak.issuer), keycloak.token("alice")
    granted(exchange(keycloak, svid, alice, audience="mcp-github"))
    assert keycloak.admin("DELETE", f"/sessions/{claims(alice)['sid']}").status == 204
    assert refused(exchange(keycloak, svid, alice, audience="mcp-github")) == (
        400,
        "invalid_request",
        "Invalid token",
    )


def test_a_client_that_is_disabled_is_unknown(keycloak: Keycloak, mesh: TrustDomain) -> None:
    svid, alice = mesh.jwt_svid("orchestrator", keycloak.issuer), keycloak.token("alice")
    keycloak.disable("orchestrator")
    try:
        assert refused(client_credentials(keycloak, svid)) == UNKNOWN
        assert refused(exchange(keycloak, svid, alice)) == UNKNOWN
    finally:
        keycloak.enable("orchestrator")
    granted(exchange(keycloak, svid, alice))


def test_introspection_is_for_who_is_in_the_audience(keycloak: Keycloak, mesh: TrustDomain) -> None:
    endpoint = f"{keycloak.token_endpoint}/introspect"
    alice = keycloak.token("alice")
    for account, active in (("orchestrator", True), ("worker", False)):
        form = {
            "token": alice,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
            "client_assertion": mesh.jwt_svid(account, keycloak.issuer),
        }
        answer = keycloak.ask(form, endpoint=endpoint)
        assert (answer.status, answer.json()["active"]) == (200, active)


def test_metadata_are_where_both_specifications_look(keycloak: Keycloak) -> None:
    places = (
        f"{keycloak.issuer}/.well-known/openid-configuration",
        f"{keycloak.base}/.well-known/oauth-authorization-server/realms/acme",
    )
    for place in places:
        document = call(place).json()
        assert (document["issuer"], document["token_endpoint"]) == (keycloak.issuer, keycloak.token_endpoint)


def test_a_new_key_of_the_trust_domain_is_known_within_ten_seconds(
    keycloak: Keycloak, forger: Handmade
) -> None:
    svid = forger.signed_by_a_new_key()
    began = time.monotonic()
    while client_credentials(keycloak, svid).status != 200:
        assert time.monotonic() < began + 20
        time.sleep(0.5)
    granted(client_credentials(keycloak, forger.svid()))
