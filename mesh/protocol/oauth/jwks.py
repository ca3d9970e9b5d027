"""The keys that an issuer signs with: a JWK Set (RFC 7517, section 5), as far as tokens may be verified by them.

What is unknown, broken or for another use is left out and does no harm to the rest, because issuers publish keys
for many readers. Symmetric keys are never taken: who reads such a set could sign. Nothing in it leads anywhere
else either: `x5u`, `jku` and `x5c` are not looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mesh.identity.bundle_document import key_of
from mesh.identity.jws import PublicKey, algorithms_of
from mesh.protocol.strict_json import JsonRefused, parse

MOST_BYTES = 256 * 1024
MOST_KEYS = 256
MOST_CANDIDATES = 16
"""Keys that are tried for one token."""

_MOST_RSA_BITS = 8192
_MOST_EXPONENT_BITS = 33
"""A larger modulus or exponent would make each verification cost milliseconds."""


class JwksInvalid(ValueError):
    """The document is no JWK Set, or too large; the issuer is at fault."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key of an issuer. `thumbprint`: SHA-256 of the key itself, whatever it is called."""

    key_id: str | None
    algorithms: frozenset[str]
    public: PublicKey = field(repr=False)
    thumbprint: bytes


@dataclass(frozen=True, slots=True)
class KeySet:
    """What an issuer published, in its order; several keys may have one identifier."""

    keys: tuple[SigningKey, ...] = ()

    def candidates(self, key_id: str | None, algorithm: str) -> tuple[SigningKey, ...]:
        """The keys that a token with this header may be signed by; without an identifier all of the algorithm."""
        fitting = [
            key
            for key in self.keys
            if algorithm in key.algorithms and (key_id is None or key.key_id == key_id)
        ]
        return tuple(fitting[:MOST_CANDIDATES])

    @property
    def thumbprints(self) -> frozenset[bytes]:
        """Of all its keys."""
        return frozenset(key.thumbprint for key in self.keys)


def read_jwks(body: bytes) -> KeySet:
    """Read a JWK Set; raises JwksInvalid. A set without any key that can be used is a set, and empty."""
    if len(body) > MOST_BYTES:
        raise JwksInvalid(f"{len(body)} bytes of keys, at most {MOST_BYTES} are read")
    try:
        document = parse(body, max_depth=16).value
    except JsonRefused as refused:
        raise JwksInvalid(f"the keys are no JSON ({refused.reason})") from refused
    elements = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(elements, list):
        raise JwksInvalid("the keys are no object with a list `keys`")
    if len(elements) > MOST_KEYS:
        raise JwksInvalid(f"{len(elements)} keys, at most {MOST_KEYS} are read")
    read = (_signing_key(jwk) for jwk in elements if isinstance(jwk, dict))
    return KeySet(tuple(key for key in read if key is not None))


def _signing_key(jwk: Mapping[str, Any]) -> SigningKey | None:
    """The key, or None where it is not one that signatures may be verified by."""
    if not _is_for_signatures(jwk):
        return None
    try:
        public = key_of(jwk)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        return None
    if public is None or not _is_bounded(public):
        return None
    algorithms = algorithms_of(public)
    if (named := jwk.get("alg")) is not None:
        algorithms &= frozenset((named,)) if isinstance(named, str) else frozenset()
    key_id = jwk.get("kid")
    if not algorithms or not isinstance(key_id, str | None):
        return None
    return SigningKey(key_id, algorithms, public, thumbprint_of(public))


def thumbprint_of(public: PublicKey) -> bytes:
    """SHA-256 of the key's DER (RFC 5280, SubjectPublicKeyInfo)."""
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return False
    return bool(jwk.get("use", "sig") == "sig")


def _is_bounded(public: PublicKey) -> bool:
    if not isinstance(public, rsa.RSAPublicKey):
        return True
    exponent = public.public_numbers().e
    return public.key_size <= _MOST_RSA_BITS and exponent.bit_length() <= _MOST_EXPONENT_BITS
