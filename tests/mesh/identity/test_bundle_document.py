from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mesh.identity.bundle import TrustBundle
from mesh.identity.bundle_document import (
    BundleDocument,
    bundle_from_object,
    bundle_to_object,
    jwk_of,
    jwt_keys_of,
    key_of,
    read_bundle_document,
    write_jwks,
)
from mesh.identity.ca import Authority
from mesh.identity.errors import BundleInvalid, JwtInvalid

KEYS: list[Any] = [
    ec.generate_private_key(ec.SECP256R1()).public_key(),
    ec.generate_private_key(ec.SECP384R1()).public_key(),
    ec.generate_private_key(ec.SECP521R1()).public_key(),
    rsa.generate_private_key(65537, 2048).public_key(),
]


def document(authority: Authority, **more: Any) -> dict[str, Any]:
    bundle = BundleDocument(authority.bundle, {"k": KEYS[0]}, 3, 60)
    return {**bundle_to_object(bundle), **more}


def test_a_bundle_reads_back_as_it_was_written(authority: Authority) -> None:
    bundle = BundleDocument(authority.bundle, {str(i): key for i, key in enumerate(KEYS)}, 3, 60)
    read = read_bundle_document("a.example", msgspec.json.encode(bundle_to_object(bundle)))
    assert read.x509 == bundle.x509
    assert (read.sequence, read.refresh_hint) == (3, 60)
    assert {name: key.public_numbers() for name, key in read.jwt_keys.items()} == {
        name: key.public_numbers() for name, key in bundle.jwt_keys.items()
    }


def test_the_jwt_authorities_alone_make_a_document_too() -> None:
    read = read_bundle_document("a.example", write_jwks({"k": KEYS[3]}))
    assert read.x509.authorities_der == ()
    assert list(read.jwt_keys) == ["k"]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_reads_back_from_its_jwk(key: Any) -> None:
    found = key_of(jwk_of(key))
    assert found is not None
    assert found.public_numbers() == key.public_numbers()


def test_unknown_types_uses_and_curves_are_ignored(authority: Authority) -> None:
    value = document(authority)
    value["keys"] += [
        {"kty": "RSA"},
        {"use": "sig"},
        {"use": "jwt-svid", "kid": "o", "kty": "OKP", "crv": "X"},
    ]
    value["keys"] += [{"use": "jwt-svid", "kid": "p", "kty": "EC", "crv": "secp256k1"}, {"use": "wit-svid"}]
    read = bundle_from_object("a.example", value)
    assert set(read.jwt_keys) == {"k"}
    assert read.x509.authorities_der == authority.bundle.authorities_der


def test_no_keys_at_all_trust_nobody() -> None:
    read = bundle_from_object("a.example", {"keys": []})
    assert read == BundleDocument(TrustBundle("a.example", ()))


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"keys": [1]}', b'{"keys": {}}', b"\xff", b"[" * 100_000],
)
def test_what_is_no_bundle_is_refused(text: bytes) -> None:
    with pytest.raises(BundleInvalid, match=r"bundle of a\.example"):
        read_bundle_document("a.example", text)


@pytest.mark.parametrize(
    ("jwk", "complaint"),
    [
        ({"use": "x509-svid"}, "exactly one certificate"),
        ({"use": "x509-svid", "x5c": ["YQ==", "YQ=="]}, "exactly one certificate"),
        ({"use": "x509-svid", "x5c": [1]}, "exactly one certificate"),
        ({"use": "x509-svid", "x5c": ["!"]}, "no base64"),
        ({"use": "x509-svid", "x5c": ["é"]}, "no base64"),
        ({"use": "x509-svid", "x5c": ["YQ=="]}, "cannot be read"),
        ({"use": "jwt-svid"}, "must have a kid"),
        ({"use": "jwt-svid", "kid": 1}, "must have a kid"),
        ({"use": "jwt-svid", "kid": "k", "kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}, "two keys"),
        ({"use": "jwt-svid", "kid": "n", "kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}, "'n' cannot be"),
        ({"use": "jwt-svid", "kid": "n", "kty": "EC", "crv": "P-256", "x": "!", "y": "AQ"}, "'n' cannot be"),
        ({"use": "jwt-svid", "kid": "n", "kty": "RSA", "e": "AQ"}, "n is missing"),
        ({"use": "jwt-svid", "kid": "n", "kty": "RSA", "n": "AQ", "e": "AQ"}, "'n' cannot be"),
    ],
)
def test_an_element_with_a_known_use_must_be_right(
    authority: Authority, jwk: dict[str, Any], complaint: str
) -> None:
    value = document(authority)
    value["keys"].append(jwk)
    with pytest.raises(BundleInvalid, match=complaint):
        bundle_from_object("a.example", value)


@pytest.mark.parametrize("name", ["spiffe_sequence", "spiffe_refresh_hint"])
@pytest.mark.parametrize("value", [-1, "1", True, 1.5, 2**63, 10**400])
def test_sequence_and_hint_are_whole_numbers(authority: Authority, name: str, value: object) -> None:
    with pytest.raises(BundleInvalid, match=f"{name} is no whole number"):
        bundle_from_object("a.example", document(authority, **{name: value}))


def test_an_authority_without_a_jwk_is_told(forge: Callable[..., bytes], monkeypatch: Any) -> None:
    class Certificate:
        def public_key(self) -> Any:
            return ed25519.Ed25519PrivateKey.generate().public_key()

    monkeypatch.setattr("mesh.identity.bundle_document.load_certificate", lambda der: Certificate())
    with pytest.raises(ValueError, match="Ed25519PublicKey"):
        bundle_to_object(BundleDocument(TrustBundle("a.example", (forge(),))))


def test_keys_of_an_issuer_may_have_any_use() -> None:
    elements = json.loads(write_jwks({"k": KEYS[0]}))["keys"]
    elements += [1, {"kty": "EC"}, {"kid": "x", "kty": "oct"}]
    assert list(jwt_keys_of(elements)) == ["k"]
    with pytest.raises(JwtInvalid, match="'bad' cannot be read"):
        jwt_keys_of([{"kid": "bad", "kty": "RSA"}])
