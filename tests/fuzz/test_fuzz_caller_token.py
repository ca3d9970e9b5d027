"""Tokens come from anybody: whatever they hold, reading them raises nothing and finds at most what is there."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol import caller_token
from tests.support.fuzzing import examples

NAMES = st.sampled_from([b"authorization", b"cookie", b"x-api-key", b"x-token", b"accept"]) | st.binary(
    max_size=20
)
PAYLOADS = (
    st.binary(max_size=200)
    | st.sampled_from(
        [b'{"aud":"a","exp":1}', b'{"aud":["a"]}', b'{"exp":1e400}', b'{"exp":NaN}', b'{"aud":"\\ud800"}']
    )
    | st.integers(0, 30000).map(lambda depth: b'{"x":' + b"[" * depth)
)


@settings(max_examples=examples(300))
@given(NAMES, st.binary(max_size=400))
def test_the_tokens_of_any_field_are_parts_of_its_value(name: bytes, value: bytes) -> None:
    assert all(token in value for token in caller_token.given(name, value))
    assert all(len(piece) >= caller_token.LEAST_BYTES for piece in caller_token.carried(value))
    caller_token.may_carry(name, value)


@settings(max_examples=examples(300))
@given(PAYLOADS, st.booleans())
def test_the_claims_of_any_token_can_be_read(payload: bytes, padded: bool) -> None:
    encoded = base64.urlsafe_b64encode(payload)
    token = b"eyJhIjoxfQ." + (encoded if padded else encoded.rstrip(b"=")) + b".sig"
    for candidate in (token, payload):
        found = caller_token.claims(candidate)
        assert isinstance(found.audience, tuple)
        assert found.expires is None or isinstance(found.expires, int | float)
