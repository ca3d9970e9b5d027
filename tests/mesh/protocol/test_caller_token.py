"""Which tokens a field gives, which it may carry, and what a JWT says of itself."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from mesh.protocol.caller_token import OPAQUE, Claims, carried, claims, given, may_carry

LONG = b"0123456789abcdef"
TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCDEFXYZ0123456789-._~+/", min_size=16, max_size=200).map(
    str.encode
)


def jwt(payload: Any) -> bytes:
    parts = ({"alg": "none"}, payload)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join((*encoded, b"c2ln"))


@pytest.mark.parametrize(
    ("name", "value", "tokens"),
    [
        (b"authorization", b"Bearer abcdefgh", [b"abcdefgh"]),
        (b"authorization", b"DPoP   abcdefgh", [b"abcdefgh"]),
        (b"authorization", b"Basic dXNlcjpwYXNz==", [b"dXNlcjpwYXNz=="]),
        (b"authorization", b"abcdefgh", [b"abcdefgh"]),
        (b"authorization", b"Bearer short", []),
        (b"authorization", b"Bearer two tokens1", []),
        (b"authorization", b'Digest username="somebody", realm="somewhere in the world"', []),
        (b"authorization", b"AWS4-HMAC-SHA256 Credential=AKIA/20261123, Signature=" + LONG, []),
        (b"x-api-key", LONG, [LONG]),
        (b"x-api-key", b"Bearer " + LONG, [LONG]),
        (b"x-api-key", LONG[:-1], []),
        (b"private-token", LONG, [LONG]),
        (b"x-forwarded-access-token", LONG, [LONG]),
        (b"cf-access-jwt-assertion", LONG, [LONG]),
        (b"x-auth-request-email", b"somebody@example.com", [b"somebody@example.com"]),
        (b"x-amzn-oidc-data", jwt({}), [jwt({})]),
        (b"cookie", b"a=1; session=" + LONG + b'; other="' + LONG + b'=="', [LONG, LONG + b"=="]),
        (b"cookie", b"flag", []),
        # Names that only look like it, and values that agents pass on for good reasons.
        (b"x-author", b"somebody@example.com", []),
        (b"x-authority", b"somebody@example.com", []),
        (b"x-csrf-token", LONG, []),
        (b"idempotency-key", LONG, []),
        (b"mcp-session-id", LONG, []),
        (b"user-agent", b"agent/1.0-0123456789", []),
        (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", []),
    ],
)
def test_what_a_caller_gives_is_read_narrowly(name: bytes, value: bytes, tokens: list[bytes]) -> None:
    assert given(name, value) == tokens


@pytest.mark.parametrize(
    ("name", "value", "may"),
    [
        (b"authorization", b"x", True),
        (b"cookie", b"x", True),
        (b"x-api-key", b"x", True),
        (b"x-upstream-session", b"x", True),
        (b"x-user", b"for eyJhbGciOiJub25lIn0.e30.", True),
        (b"mcp-session-id", b"x", False),
        (b"user-agent", b"python", False),
        (b"accept", b"application/json", False),
    ],
)
def test_a_token_is_looked_for_where_credentials_are_and_where_a_jwt_is(
    name: bytes, value: bytes, may: bool
) -> None:
    assert may_carry(name, value) is may


@drawn(
    TOKEN,
    st.sampled_from(
        [
            "{}", "Bearer {}", "bearer  {}", "Token token={}", "Digest a=b, response={}", "a=1; s={}; b=2",
            'GSSAPI "{}"', "{},other", "sso-key public:x {}",
        ]
    ),
)  # fmt: skip
def test_what_was_given_is_found_again_however_it_is_carried(token: bytes, form: str) -> None:
    assert token in list(carried(form.encode().replace(b"{}", token)))


@drawn(TOKEN)
def test_a_token_is_found_as_the_password_or_user_of_basic(token: bytes) -> None:
    for pair in (b"x-access-token:" + token, token.replace(b":", b"") + b":x-oauth-basic"):
        assert token in list(carried(b"Basic " + base64.b64encode(pair)))


@pytest.mark.parametrize(
    "value", [b"Basic !!!!", b"Basic", b"basic YQ", b"", b" ", b"a=b", b"Basic \xff\xff"]
)
def test_what_is_broken_carries_nothing_that_could_be_known(value: bytes) -> None:
    assert list(carried(value)) == []


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ({"aud": "a"}, Claims(("a",))),
        ({"aud": ["a", "b"], "exp": 12, "sub": {"deep": [1]}}, Claims(("a", "b"), 12)),
        ({"exp": 12.5}, Claims((), 12.5)),
        ({}, OPAQUE),
        ({"aud": 5, "exp": 12}, OPAQUE),
        ({"aud": [5]}, OPAQUE),
        ({"aud": None}, OPAQUE),
        ({"exp": "tomorrow", "aud": "a"}, OPAQUE),
        (["aud"], OPAQUE),
    ],
)
def test_a_jwt_says_its_audience_and_expiry(payload: Any, found: Claims) -> None:
    assert claims(jwt(payload)) == found


@pytest.mark.parametrize(
    "token",
    [
        b"opaque",
        b"a.b.c",
        b"eyJhbGciOiJub25lIn0.e30",
        b"eyJhbGciOiJub25lIn0.e.x",
        b"eyJhbGciOiJub25lIn0.////.x",
        b"eyJ.a.b.c.d",
        b"eyJ." + base64.urlsafe_b64encode(b'{"a":' + b"[" * 20000) + b".x",
    ],
)
def test_anything_else_is_opaque(token: bytes) -> None:
    assert claims(token) == OPAQUE


@pytest.mark.parametrize(
    ("value", "shared"),
    [
        (b"AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=abc", b"AWS4-HMAC-SHA256"),
        (b"Negotiate YIIabcdefgh", b"Negotiate"),
        (b"GenieKey 1234567890", b"GenieKey"),
        (b"Basic " + base64.b64encode(b"x-access-token:ghs_0123456789"), b"x-access-token"),
        (b"Basic " + base64.b64encode(b"oauth2accesstoken:ya29.0123456"), b"oauth2accesstoken"),
    ],
)
def test_what_many_requests_share_is_no_token_of_anybody(value: bytes, shared: bytes) -> None:
    """A caller could choose it as its own, and have it taken out of all that the agent sends."""
    assert shared not in list(carried(value))


@pytest.mark.parametrize("scheme", [b"Basic ", b"basic\t", b"BASIC  "])
def test_basic_without_padding_and_with_other_spaces_is_read_all_the_same(scheme: bytes) -> None:
    encoded = base64.b64encode(b"u:callers-secret").rstrip(b"=")
    assert b"callers-secret" in list(carried(scheme + encoded))
