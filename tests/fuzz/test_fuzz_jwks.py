"""Sets of keys come from outside: whatever they hold, only the documented exception leaves the reader."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.identity.jws import MIN_RSA_BITS
from mesh.protocol.oauth.jwks import JwksInvalid, read_jwks
from tests.support.fuzzing import examples
from tests.support.issuing import EC_KEY, GOOD_JWKS, RSA_KEY, jwk

GOOD = [jwk(), jwk(EC_KEY, kid="two")]
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.text(alphabet="AQBag-_", max_size=400)
    | st.lists(st.sampled_from(["sig", "verify", "x"]), max_size=2)
    | st.sampled_from(["RSA", "EC", "oct", "P-256", "P-521", "sig", "RS256", "ES256", *GOOD[1].values()])
)
MEMBERS = ["kty", "n", "e", "crv", "x", "y", "k", "use", "alg", "kid", "key_ops", "x5c", "x5u"]


@settings(max_examples=examples(300))
@given(st.sampled_from(GOOD), st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=4))
def test_a_changed_key_is_taken_or_left_out_and_its_neighbour_stays(
    good: dict[str, Any], changed: dict[str, Any]
) -> None:
    neighbour = jwk(kid="neighbour")
    found = read_jwks(json.dumps({"keys": [{**good, **changed}, neighbour]}).encode()).keys
    assert found[-1].public.public_numbers() == RSA_KEY.public_key().public_numbers()
    assert all(not algorithm.startswith("HS") for key in found for algorithm in key.algorithms)
    assert all(key.public.key_size >= MIN_RSA_BITS or "ES" in min(key.algorithms) for key in found)


@settings(max_examples=examples(300))
@given(st.binary(max_size=300), st.integers(0, len(GOOD_JWKS)), st.integers(0, 20))
def test_any_bytes_are_a_set_or_refused(piece: bytes, at: int, cut: int) -> None:
    for body in (piece, GOOD_JWKS[:at] + piece + GOOD_JWKS[at + cut :]):
        try:
            read_jwks(body)
        except JwksInvalid:
            continue
