"""The algorithms, each signed here by the library's own primitives."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from mesh.identity.errors import JwtInvalid
from mesh.identity.jws import ALGORITHMS, algorithms_of, read_jws, sign, to_base64url, verify

DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
RSA = rsa.generate_private_key(65537, 2048)
CURVES = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}


def token(algorithm: str, *, salt: int | None = None) -> str:
    text = ".".join(to_base64url(msgspec.json.encode(part)) for part in ({"alg": algorithm}, {"a": 1}))
    return f"{text}.{to_base64url(signature(algorithm, text.encode(), salt))}"


def signature(algorithm: str, text: bytes, salt: int | None) -> bytes:
    digest = DIGESTS[algorithm[2:]]
    if algorithm.startswith("RS"):
        return RSA.sign(text, padding.PKCS1v15(), digest)
    if algorithm.startswith("PS"):
        length = digest.digest_size if salt is None else salt
        return RSA.sign(text, padding.PSS(padding.MGF1(digest), length), digest)
    key = CURVES[algorithm]
    r, s = decode_dss_signature(key.sign(text, ec.ECDSA(digest)))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size) + s.to_bytes(size)


def key_of(algorithm: str) -> Any:
    return CURVES.get(algorithm, RSA).public_key()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_of_jwt_svids_is_verified(algorithm: str) -> None:
    verify(read_jws(token(algorithm)), key_of(algorithm))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_over_other_claims_is_refused(algorithm: str) -> None:
    header, _, proof = token(algorithm).split(".")
    changed = f"{header}.{to_base64url(b'{}')}.{proof}"
    with pytest.raises(JwtInvalid, match="signature is wrong"):
        verify(read_jws(changed), key_of(algorithm))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("other", ALGORITHMS)
def test_a_key_verifies_the_algorithms_of_its_own_kind_only(algorithm: str, other: str) -> None:
    both_rsa = algorithm not in CURVES and other not in CURVES
    expected = both_rsa or algorithm == other
    assert (other in algorithms_of(key_of(algorithm))) == expected
    if not expected:
        with pytest.raises(JwtInvalid, match=f"the key is none for {other}"):
            verify(read_jws(token(other)), key_of(algorithm))


def test_a_short_rsa_key_verifies_nothing() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what must be refused
    assert algorithms_of(short.public_key()) == frozenset()


def test_a_key_on_another_curve_verifies_nothing() -> None:
    assert algorithms_of(ec.generate_private_key(ec.SECP256K1()).public_key()) == frozenset()


def test_pss_with_another_salt_length_is_refused() -> None:
    with pytest.raises(JwtInvalid, match="signature is wrong"):
        verify(read_jws(token("PS256", salt=0)), RSA.public_key())


@pytest.mark.parametrize("algorithm", ["HS256", "none", "EdDSA", "", None, 1, ["RS256"]])
def test_other_algorithms_are_not_accepted(algorithm: object) -> None:
    text = f"{to_base64url(msgspec.json.encode({'alg': algorithm}))}.e30."
    with pytest.raises(JwtInvalid, match="not accepted"):
        verify(read_jws(text), RSA.public_key())


@pytest.mark.parametrize("algorithm", CURVES)
def test_what_is_signed_here_is_verified_here(algorithm: str) -> None:
    jws = read_jws(sign(CURVES[algorithm], "k", {"sub": "x"}))
    verify(jws, CURVES[algorithm].public_key())
    assert jws.header == {"alg": algorithm, "kid": "k", "typ": "JWT"}
    assert jws.claims == {"sub": "x"}
