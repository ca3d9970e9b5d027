"""How clients prove themselves, read with other code than ours."""

from __future__ import annotations

import base64
from urllib.parse import unquote, unquote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from mesh.identity.jws import read_jws, verify
from mesh.protocol.oauth.client_assertion import (
    JWT_BEARER,
    JWT_SPIFFE,
    basic,
    by_assertion,
    by_id,
    by_secret,
    own_assertion,
)
from mesh.protocol.oauth.signing_key import SigningKey

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (JWT_SPIFFE, "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"),
        (JWT_BEARER, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    ],
)
def test_an_assertion_without_and_with_an_id(kind: str, name: str) -> None:
    proof = (("client_assertion_type", name), ("client_assertion", "jwt"))
    assert by_assertion(kind, "jwt", None) == proof
    assert by_assertion(kind, "jwt", "me") == (("client_id", "me"), *proof)


def test_secrets_and_names() -> None:
    assert by_secret("me", "secret") == (("client_id", "me"), ("client_secret", "secret"))
    assert by_id("me") == (("client_id", "me"),)
    assert by_id(None) == ()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXT, TEXT)
def test_basic_encodes_both_parts_before_base64(name: str, secret: str) -> None:
    scheme, _, value = basic(name, secret).partition(b" ")
    assert scheme == b"Basic"
    first, colon, second = base64.b64decode(value, validate=True).decode("ascii").partition(":")
    for decode in (unquote_plus, unquote):
        assert (decode(first), colon, decode(second)) == (name, ":", secret)


def test_a_space_in_basic_is_no_plus() -> None:
    """Half of the servers decode a form there, the others percent-encoding alone: `%20` is read by both."""
    assert base64.b64decode(basic("a b", " c+d").removeprefix(b"Basic ")) == b"a%20b:%20c%2Bd"


def test_a_spiffe_id_as_name_does_not_end_at_its_colon() -> None:
    value = base64.b64decode(basic("spiffe://td/x", "a:b+c").removeprefix(b"Basic "))
    assert value == b"spiffe%3A%2F%2Ftd%2Fx:a%3Ab%2Bc"


def test_our_own_assertion() -> None:
    token = own_assertion(SigningKey(KEY, "ES256", {"kid": "k"}), "me", "https://as", now=1000.9, ident="j")
    jws = read_jws(token)
    verify(jws, KEY.public_key())
    assert jws.header == {"alg": "ES256", "typ": "JWT", "kid": "k"}
    assert jws.claims == {
        "iss": "me",
        "sub": "me",
        "aud": "https://as",
        "jti": "j",
        "iat": 1000,
        "exp": 1060,
    }
