"""Keys of issuers: which are taken, and that the others do no harm."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mesh.protocol.oauth.jwks import MOST_CANDIDATES, JwksInvalid, KeySet, read_jwks
from tests.support.issuing import EC_KEY, GOOD_JWKS, OTHER_RSA_KEY, RSA_KEY, b64, jwk, jwks

BIG = "AQ" + "A" * 2000


def test_rsa_keys_verify_every_rsa_algorithm_and_curves_their_own() -> None:
    rsa_key, ec_key = read_jwks(GOOD_JWKS).keys
    assert rsa_key.algorithms == {family + size for family in ("RS", "PS") for size in ("256", "384", "512")}
    assert (ec_key.key_id, ec_key.algorithms) == ("two", {"ES256"})


@pytest.mark.parametrize(
    ("curve", "algorithm"), [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")]
)
def test_each_curve_has_its_algorithm(curve: ec.EllipticCurve, algorithm: str) -> None:
    (key,) = read_jwks(jwks(jwk(ec.generate_private_key(curve)))).keys
    assert key.algorithms == {algorithm}


@pytest.mark.parametrize(
    "members",
    [{}, {"use": ...}, {"alg": "RS256"}, {"key_ops": ["verify"]}, {"kid": ...}, {"x5u": "https://evil"}],
)
def test_a_key_for_signatures_is_taken(members: dict[str, Any]) -> None:
    (key,) = read_jwks(jwks(jwk(**members))).keys
    assert key.public.public_numbers() == RSA_KEY.public_key().public_numbers()


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"kty": "oct", "k": "AAAA", "kid": "one"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": ["RSA"]},
        {"kty": "RSA", "n": "AQ", "e": "AQAB"},
        {"kty": "RSA", "n": 7, "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": ["P-256"], "x": "AA", "y": "AA"},
        jwk(use="enc"),
        jwk(use=["sig"]),
        jwk(use=None),
        jwk(alg="HS256"),
        jwk(alg="ES256"),
        jwk(alg=["RS256"]),
        jwk(key_ops=["sign"]),
        jwk(key_ops="verify"),
        jwk(key_ops=[["verify"]]),
        jwk(kid=7),
        jwk(e="AA"),
        jwk(e="Ag"),
        jwk(e=BIG[:340]),
        jwk(n=BIG),
        jwk(n=jwk()["n"] + "="),
        jwk(rsa.generate_private_key(65537, 1024)),  # noqa: S505
        7,
        None,
        [],
        "x",
    ],
)
def test_any_other_key_is_left_out_and_the_rest_stays(broken: Any) -> None:
    (key,) = read_jwks(jwks(broken, jwk(EC_KEY, kid="two"))).keys
    assert key.key_id == "two"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [], "keys": []}',
        b"\xff",
        b"x" * 300_000,
        jwks(*[{}] * 257),
    ],
)
def test_what_is_no_set_is_refused(body: bytes) -> None:
    with pytest.raises(JwksInvalid):
        read_jwks(body)


def test_a_set_may_be_empty() -> None:
    assert read_jwks(jwks()) == KeySet()


def test_every_key_with_an_identifier_is_a_candidate() -> None:
    found = read_jwks(jwks(jwk(), jwk(OTHER_RSA_KEY), jwk(EC_KEY))).candidates("one", "RS256")
    assert [key.public.key_size for key in found] == [2048, 2048]


def test_without_an_identifier_all_keys_of_the_algorithm_are_candidates_up_to_a_bound() -> None:
    keys = read_jwks(jwks(*[jwk(kid=b64(bytes([n]))) for n in range(40)], jwk(EC_KEY)))
    assert len(keys.candidates(None, "RS256")) == MOST_CANDIDATES
    assert len(keys.candidates(None, "ES256")) == 1
    assert keys.candidates("none", "RS256") == ()


def test_a_thumbprint_is_of_the_key_and_not_of_its_name() -> None:
    assert len(read_jwks(jwks(jwk(), jwk(kid="other"))).thumbprints) == 1
    assert len(read_jwks(jwks(jwk(), jwk(OTHER_RSA_KEY))).thumbprints) == 2
