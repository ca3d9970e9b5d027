"""Private keys under mutation: only KeyInvalid escapes, nothing of the key is told, and what is read can sign."""

from __future__ import annotations

import json
import re
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh.identity.jws import read_jws, to_base64url, verify
from mesh.protocol.oauth.signing_key import KeyInvalid, read_signing_key
from tests.support.fuzzing import examples


def number(value: int) -> str:
    return to_base64url(value.to_bytes((value.bit_length() + 7) // 8))


EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048).private_numbers()
POINT = EC.private_numbers().public_numbers
EC_JWK: dict[str, Any] = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "k",
    "x": number(POINT.x),
    "y": number(POINT.y),
    "d": number(EC.private_numbers().private_value),
}
RSA_JWK: dict[str, Any] = {
    "kty": "RSA",
    "n": number(RSA.public_numbers.n),
    "e": number(RSA.public_numbers.e),
    "d": number(RSA.d),
    "p": number(RSA.p),
    "q": number(RSA.q),
}
PEM = EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
VALUES = st.one_of(
    st.sampled_from(
        ["", "AA", "AQ", "Ag", "Aw", "P-384", "P-521", "EC", "RSA", "oct", "HS256", "ES256", "PS512", "none"]
    ),
    st.sampled_from([*EC_JWK.values(), *RSA_JWK.values()]),
    st.sampled_from([None, True, 7, [], {}, ["EC"]]),
    st.text(max_size=8),
)
NAMES = st.sampled_from([*EC_JWK, *RSA_JWK, "alg", "x5t", "x5t#S256", "keys", "key_ops"])
MUTATIONS = st.dictionaries(NAMES, VALUES, max_size=3)
SECRETS = [EC_JWK["d"], RSA_JWK["d"], RSA_JWK["p"]]


def check(data: bytes) -> None:
    try:
        key = read_signing_key(data)
    except KeyInvalid as invalid:
        told = f"{invalid!r} {invalid.__cause__!r}"
        assert not any(secret in told for secret in SECRETS)
        return
    jws = read_jws(key.sign({"sub": "x"}))
    verify(jws, key.key.public_key())
    assert re.fullmatch("(RS|PS|ES)(256|384|512)", jws.header["alg"])


@given(st.sampled_from([EC_JWK, RSA_JWK]), MUTATIONS, st.sets(NAMES, max_size=1))
@example(EC_JWK, {}, set())
@example(RSA_JWK, {"alg": "PS256"}, set())
@example(RSA_JWK, {"p": "AQ", "q": RSA_JWK["n"]}, set())
@settings(max_examples=examples(120), deadline=None)
def test_jwks(seed: dict[str, Any], changed: dict[str, Any], removed: set[str]) -> None:
    left = {name: value for name, value in (seed | changed).items() if name not in removed}
    check(json.dumps(left).encode())


@given(st.binary(max_size=60), st.integers(0, len(PEM)), st.integers(0, 12))
@settings(max_examples=examples(200), deadline=None)
def test_pem_and_anything_else(data: bytes, at: int, cut: int) -> None:
    check(data)
    check(PEM[:at] + data[:4] + PEM[at + cut :])
