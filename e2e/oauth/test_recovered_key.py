"""The key that is found for a token's signature verifies that token, and no other."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.oauth.recovered_key import key_that_verifies


@pytest.mark.parametrize("number", range(5))
def test_the_key_verifies_its_token_only(number: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    token, other = (jwt.encode({"sub": name, "n": number}, key, "ES256") for name in ("alice", "bob"))
    found = key_that_verifies(token)
    assert jwt.decode(token, found, ["ES256"]) == {"sub": "alice", "n": number}
    if found.public_numbers() != key.public_key().public_numbers():
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(other, found, ["ES256"])
