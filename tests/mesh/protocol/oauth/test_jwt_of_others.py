"""Tokens and keys as another library makes them: what we read is what the specifications say, and not our own."""

from __future__ import annotations

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from mesh.protocol.oauth.claims import TokenInvalid
from mesh.protocol.oauth.jwks import read_jwks
from mesh.protocol.oauth.jwt import read_token, verify_token
from mesh.reasons import Reason
from tests.support.issuing import ENTRY, NOW, RSA_KEY, claims, jwks

CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", *CURVES]


def key_for(algorithm: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVES[algorithm]) if algorithm in CURVES else RSA_KEY


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_each_algorithm_is_verified(algorithm: str) -> None:
    key = key_for(algorithm)
    text = jwt.encode(claims(), key, algorithm, headers={"kid": "theirs", "typ": "at+jwt"})
    public = key.public_key()
    written = (
        ECAlgorithm.to_jwk(public)
        if isinstance(public, ec.EllipticCurvePublicKey)
        else RSAAlgorithm.to_jwk(public)
    )
    keys = read_jwks(jwks({**json.loads(written), "kid": "theirs", "use": "sig", "alg": algorithm}))
    token = read_token(text)
    found = verify_token(token, ENTRY, keys.candidates(token.key_id, token.algorithm), NOW)
    assert found.user.subject == "alice"


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
def test_a_token_that_anybody_can_make_is_refused(algorithm: str) -> None:
    text = jwt.encode(claims(), "x" * 32 if algorithm == "HS256" else None, algorithm)
    with pytest.raises(TokenInvalid) as invalid:
        verify_token(read_token(text), ENTRY, (), NOW)
    assert invalid.value.reason is Reason.TOKEN_ALGORITHM
