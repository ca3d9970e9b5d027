"""Tokens come from anybody: whatever they hold, only the documented refusal leaves the verification."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol.oauth.claims import TokenInvalid
from mesh.protocol.oauth.introspection import IntrospectionInvalid, read_introspection
from mesh.protocol.oauth.jwks import read_jwks
from mesh.protocol.oauth.jwt import read_token, verify_token
from tests.support.fuzzing import examples
from tests.support.issuing import ENTRY, GOOD_JWKS, NOW, claims, header, text_of, token

KEYS = read_jwks(GOOD_JWKS).keys
GOOD = token()
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["sub", "act", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = ["iss", "sub", "aud", "exp", "iat", "nbf", "cnf", "act", "scope", "scp", "azp", "client_id", "active"]


def check(text: str) -> None:
    with suppress(TokenInvalid):
        proven = verify_token(read_token(text), ENTRY, KEYS, NOW)
        assert proven.user.issuer == ENTRY.issuer
        assert proven.user.subject


@settings(max_examples=examples(300))
@given(
    st.text(max_size=200) | st.binary(max_size=300).map(lambda data: base64.urlsafe_b64encode(data).decode())
)
def test_any_text_is_no_token(text: str) -> None:
    check(text)
    check(f"{text}.{text}.{text}")


@settings(max_examples=examples(300))
@given(st.integers(0, len(GOOD)), st.integers(0, 8), st.text(alphabet="aA0-_.=+ ", max_size=8))
def test_a_good_token_that_was_changed_counts_only_if_it_is_the_same(at: int, cut: int, piece: str) -> None:
    changed = GOOD[:at] + piece + GOOD[at + cut :]
    try:
        verify_token(read_token(changed), ENTRY, KEYS, NOW)
    except TokenInvalid:
        assert changed != GOOD
    else:
        assert changed == GOOD


@settings(max_examples=examples(150))
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_any_claims_of_an_issuer_are_believed_or_refused(changed: dict[str, Any]) -> None:
    check(token(claims(**changed)))


@settings(max_examples=examples(150))
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "x5u", "b64"]), JSON, max_size=3))
def test_any_header_is_taken_or_refused(changed: dict[str, Any]) -> None:
    check(token(head=header(**changed)))


@settings(max_examples=examples(300))
@given(
    st.binary(max_size=200)
    | st.dictionaries(st.sampled_from(NAMES), JSON).map(
        lambda said: text_of({**claims(), "active": True, **said})
    )
)
def test_any_answer_about_a_token_is_read_or_refused(body: bytes) -> None:
    with suppress(TokenInvalid, IntrospectionInvalid):
        assert read_introspection(body, ENTRY, NOW).user.subject
