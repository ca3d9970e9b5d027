"""What a good token says, and the leeway of clocks; attacks have a table of their own."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.policy.principal import User
from mesh.protocol.oauth.claims import TokenInvalid
from mesh.protocol.oauth.jwks import read_jwks
from mesh.protocol.oauth.jwt import ProvenToken, read_token, verify_token
from mesh.reasons import Reason
from tests.support.issuing import (
    AUDIENCE,
    EC_KEY,
    ENTRY,
    GOOD_JWKS,
    ISSUER,
    NOW,
    RSA_KEY,
    claims,
    header,
    token,
)

KEYS = read_jwks(GOOD_JWKS)


def verified(body: dict[str, Any], *, now: float = NOW, head: Any = None, key: Any = RSA_KEY) -> ProvenToken:
    unverified = read_token(token(body, head, key))
    return verify_token(unverified, ENTRY, KEYS.candidates(unverified.key_id, unverified.algorithm), now)


def test_a_token_says_who_is_behind_it() -> None:
    found = verified(
        claims(scope="a b", azp="app", act={"sub": "agent", "iss": "x", "act": {"sub": "first"}})
    )
    assert found.user == User(ISSUER, "alice", frozenset({"a", "b"}), "app", ("agent", "first"))
    assert (found.expires, found.thumbprint) == (NOW + 300, KEYS.keys[0].thumbprint)


def test_a_token_may_say_little() -> None:
    assert verified(claims(iat=...)).user == User(ISSUER, "alice")


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256"])
def test_every_algorithm_is_verified(algorithm: str) -> None:
    key, kid = (EC_KEY, "two") if algorithm == "ES256" else (RSA_KEY, "one")
    assert verified(claims(), head=header(alg=algorithm, kid=kid), key=key).user.subject == "alice"


@pytest.mark.parametrize("kid", [..., None])
def test_a_token_need_not_name_its_key(kid: Any) -> None:
    assert verified(claims(), head=header(kid=kid)).user.subject == "alice"


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["x", AUDIENCE]])
def test_one_of_the_audiences_has_to_be_ours(audience: Any) -> None:
    assert verified(claims(aud=audience)).user.subject == "alice"


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        ({}, set()),
        ({"scope": ""}, set()),
        ({"scope": "a  b"}, {"a", "b"}),
        ({"scope": ["a", "b"]}, {"a", "b"}),
        ({"scp": "a b"}, {"a", "b"}),
        ({"scp": ["a"], "scope": "b"}, {"a", "b"}),
        ({"scp": ["a b", "c"]}, {"c"}),
        ({"scp": ["a", 7, None, 'x"', "\u00e9", ""]}, {"a"}),
        ({"scope": "a\tb\nc"}, set()),
    ],
)
def test_scopes_are_words(said: dict[str, Any], scopes: set[str]) -> None:
    assert verified(claims(**said)).user.scopes == scopes


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ({}, None),
        ({"client_id": "b"}, "b"),
        ({"azp": "a", "client_id": "b"}, "a"),
        ({"azp": None, "client_id": "b"}, "b"),
    ],
)
def test_the_client_is_who_the_token_was_given_to(said: dict[str, Any], client: str | None) -> None:
    assert verified(claims(**said)).user.client == client


@pytest.mark.parametrize(
    ("act", "actors"), [({"client_id": "c"}, ("c",)), ({"azp": "z"}, ("z",)), (None, ())]
)
def test_an_actor_is_named_by_its_subject_or_its_client(act: Any, actors: tuple[str, ...]) -> None:
    assert verified(claims(act=act)).user.actors == actors


@pytest.mark.parametrize(
    ("said", "late", "reason"),
    [
        ({"exp": int(NOW)}, 29.9, None),
        ({"exp": int(NOW)}, 30.0, Reason.TOKEN_EXPIRED),
        ({"exp": NOW + 0.5}, 30.4, None),
        ({"nbf": int(NOW) + 30}, 0.0, None),
        ({"nbf": int(NOW) + 31}, 0.0, Reason.TOKEN_NOT_YET_VALID),
        ({"iat": int(NOW) + 30}, 0.0, None),
        ({"iat": int(NOW) + 31}, 0.0, Reason.TOKEN_NOT_YET_VALID),
        ({"nbf": None, "iat": None}, 0.0, None),
    ],
)
def test_clocks_may_differ_by_the_skew(said: dict[str, Any], late: float, reason: Reason | None) -> None:
    if reason is None:
        assert verified(claims(**said), now=NOW + late).user.subject == "alice"
        return
    with pytest.raises(TokenInvalid) as invalid:
        verified(claims(**said), now=NOW + late)
    assert invalid.value.reason is reason


def test_a_token_of_another_issuer_is_not_verified_by_this_entry() -> None:
    with pytest.raises(TokenInvalid) as invalid:
        verified(claims(iss="https://other"))
    assert invalid.value.reason is Reason.TOKEN_ISSUER


def test_a_key_of_another_algorithm_is_not_tried() -> None:
    unverified = read_token(token())
    with pytest.raises(TokenInvalid) as invalid:
        verify_token(unverified, ENTRY, KEYS.keys[1:], NOW)
    assert invalid.value.reason is Reason.TOKEN_SIGNATURE
