"""Private keys from PEM and JWK, and signatures that other readers accept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mesh.identity.jws import read_jws, to_base64url, verify
from mesh.protocol.oauth.signing_key import KeyInvalid, SigningKey, read_signing_key

RSA = rsa.generate_private_key(65537, 2048)
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
EC = {name: ec.generate_private_key(curve) for name, curve in CURVES.items()}


def pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    data: bytes = key.private_bytes(Encoding.PEM, form, encryption)
    return data


def number(value: int) -> str:
    return to_base64url(value.to_bytes((value.bit_length() + 7) // 8))


def rsa_jwk(**more: Any) -> dict[str, Any]:
    numbers = RSA.private_numbers()
    public = numbers.public_numbers
    return {"kty": "RSA", "n": number(public.n), "e": number(public.e), "d": number(numbers.d), **more}


def ec_jwk(name: str, **more: Any) -> dict[str, Any]:
    numbers = EC[name].private_numbers()
    size = (EC[name].key_size + 7) // 8
    point = numbers.public_numbers
    values = {"x": point.x, "y": point.y, "d": numbers.private_value}
    return {
        "kty": "EC",
        "crv": name,
        **{k: to_base64url(v.to_bytes(size)) for k, v in values.items()},
        **more,
    }


def jwk(document: object) -> bytes:
    return json.dumps(document).encode()


def believed(key: SigningKey) -> dict[str, Any]:
    """Sign, verify with our reader of other people's tokens, and give back the header."""
    jws = read_jws(key.sign({"sub": "x"}))
    verify(jws, key.key.public_key())
    assert jws.claims == {"sub": "x"}
    return dict(jws.header)


PRIMES = {"p": number(RSA.private_numbers().p), "q": number(RSA.private_numbers().q)}


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (pem(RSA), {"alg": "RS256"}),
        (pem(RSA, PrivateFormat.TraditionalOpenSSL), {"alg": "RS256"}),
        (b"\n" + pem(EC["P-256"]), {"alg": "ES256"}),
        (pem(EC["P-256"], PrivateFormat.TraditionalOpenSSL), {"alg": "ES256"}),
        (pem(EC["P-384"]), {"alg": "ES384"}),
        (pem(EC["P-521"]), {"alg": "ES512"}),
        (jwk(rsa_jwk()), {"alg": "RS256"}),
        (jwk(rsa_jwk(**PRIMES, kid="k1")), {"alg": "RS256", "kid": "k1"}),
        (jwk(rsa_jwk(alg="PS256")), {"alg": "PS256"}),
        (jwk(rsa_jwk(**{"x5t#S256": "thumb"})), {"alg": "RS256", "x5t#S256": "thumb"}),
        (b" " + jwk(ec_jwk("P-256", kid="k", use="sig", key_ops=["sign"])), {"alg": "ES256", "kid": "k"}),
        (jwk(ec_jwk("P-384", alg="ES384")), {"alg": "ES384"}),
        (jwk(ec_jwk("P-521")), {"alg": "ES512"}),
    ],
)
def test_a_key_says_how_it_signs(data: bytes, header: dict[str, str]) -> None:
    assert believed(read_signing_key(data)) == header | {"typ": "JWT"}


@pytest.mark.parametrize("key", [pem(RSA), pem(EC["P-256"]), pem(EC["P-521"]), jwk(rsa_jwk(alg="PS384"))])
def test_another_library_accepts_the_signature(key: bytes) -> None:
    jwt = pytest.importorskip("jwt", reason="PyJWT comes with the mcp SDK")
    signing = read_signing_key(key)
    public = signing.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(signing.sign({"aud": "a"}), public, algorithms=[signing.algorithm], audience="a")
    assert claims == {"aud": "a"}


OTHER = EC["P-384"].private_numbers().public_numbers


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither PEM"),
        (b"s3cr3t-value", "neither PEM"),
        (pem(RSA, password=b"password"), "encrypted"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "neither an RSA key"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "neither an RSA key"),
        (pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),  # noqa: S505 - the point
        (b"{", "cannot be read"),
        (b'{"kty":"EC","kty":"RSA"}', "cannot be read"),
        (jwk({"keys": []}), "set of keys"),
        (jwk({"kty": "oct", "k": "c2VjcmV0"}), "neither RSA nor EC"),
        (jwk({"kty": ["RSA"]}), "neither RSA nor EC"),
        (jwk({}), "neither RSA nor EC"),
        (jwk({"kty": "EC"}), "crv"),
        (jwk({"kty": "EC", "crv": {}}), "crv"),
        (jwk(ec_jwk("P-256") | {"d": 5}), "d of the JWK is missing"),
        (jwk(ec_jwk("P-256") | {"d": "+/="}), "no base64url"),
        (jwk(ec_jwk("P-256") | {"y": number(OTHER.y)}), "make no private key"),
        (jwk(ec_jwk("P-256") | {"d": number(EC["P-521"].private_numbers().private_value)}), "no private key"),
        (jwk(ec_jwk("P-256", alg="HS256")), "alg of the JWK"),
        (jwk(ec_jwk("P-256", alg="ES384")), "alg of the JWK"),
        (jwk(ec_jwk("P-256", alg=["ES256"])), "alg of the JWK"),
        (jwk(ec_jwk("P-256", kid=7)), "no text"),
        (jwk(rsa_jwk(p="AQ", q="AQ")), "make no private key"),
        (jwk(rsa_jwk(p="AA", q="AA")), "make no private key"),
        (jwk(rsa_jwk() | {"n": "AA"}), "make no private key"),
        (jwk(rsa_jwk() | {"d": "Aw"}), "make no private key"),
        (jwk({name: value for name, value in rsa_jwk().items() if name != "d"}), "d of the JWK is missing"),
        (jwk(rsa_jwk(alg="HS256")), "alg of the JWK"),
        (jwk(rsa_jwk(alg="none")), "alg of the JWK"),
    ],
)
def test_what_is_no_key_is_refused_and_not_quoted(data: bytes, why: str) -> None:
    with pytest.raises(KeyInvalid, match=why) as caught:
        read_signing_key(data)
    assert "s3cr3t" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_is_in_no_text() -> None:
    assert "RSAPrivateKey" not in repr(read_signing_key(pem(RSA)))
