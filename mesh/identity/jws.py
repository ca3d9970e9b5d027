"""Signed tokens in compact form (RFC 7515), with the algorithms that JWT-SVIDs may use (RFC 7518, section 3).

No symmetric algorithm and no `none`: whoever can verify must not be able to sign. A key decides by its type and
curve which algorithms it verifies, the token only chooses among those.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from mesh.identity.errors import JwtInvalid
from mesh.protocol.strict_json import JsonRefused, parse

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

MAX_TOKEN_BYTES = 16 * 1024
MIN_RSA_BITS = 2048
MOST_LEVELS = 64
"""Of objects and lists in a header or in claims."""

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
ALGORITHMS = tuple(family + size for family in ("RS", "ES", "PS") for size in _HASHES)


@dataclass(frozen=True, slots=True)
class Jws:
    """A token taken apart; nothing in it is proved before `verify`."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def read_jws(token: str) -> Jws:
    """Take a token apart; raises JwtInvalid unless header and claims are JSON objects."""
    if len(token) > MAX_TOKEN_BYTES:
        raise JwtInvalid(f"the token has {len(token)} bytes, at most {MAX_TOKEN_BYTES} are read")
    parts = token.split(".")
    if len(parts) != 3:
        raise JwtInvalid("the token has not three parts")
    header, claims, signature = map(from_base64url, parts)
    signed = token.rpartition(".")[0].encode("ascii")
    return Jws(_object(header, "header"), _object(claims, "claims"), signed, signature)


def key_id_of(jws: Jws) -> str:
    """By what the token names its key; raises JwtInvalid. A number is no text that looks the same."""
    key_id = jws.header.get("kid")
    if key_id is None:
        raise JwtInvalid("the token names no key: kid is missing")
    if not isinstance(key_id, str):
        raise JwtInvalid("kid is no text")
    return key_id


def verify(jws: Jws, key: PublicKey) -> None:
    """Check the signature by `key`; raises JwtInvalid."""
    algorithm = jws.header.get("alg")
    if algorithm not in ALGORITHMS:
        raise JwtInvalid(f"the algorithm {algorithm!r} is not accepted")
    if algorithm not in algorithms_of(key):
        raise JwtInvalid(f"the key is none for {algorithm}")
    digest = _HASHES[algorithm[2:]]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(jws.signature, jws.signed, _padding(algorithm, digest), digest)
        else:
            key.verify(_as_der(jws.signature, key.curve), jws.signed, ec.ECDSA(digest))
    except InvalidSignature as wrong:
        raise JwtInvalid("the signature is wrong") from wrong


def sign(key: ec.EllipticCurvePrivateKey, key_id: str, claims: Mapping[str, Any]) -> str:
    """A token with these claims, by the algorithm that belongs to the key's curve."""
    algorithm = _CURVES[key.curve.name]
    header = {"alg": algorithm, "kid": key_id, "typ": "JWT"}
    signed = f"{_encoded(header)}.{_encoded(claims)}"
    r, s = decode_dss_signature(key.sign(signed.encode("ascii"), ec.ECDSA(_HASHES[algorithm[2:]])))
    size = _scalar_bytes(key.curve)
    return f"{signed}.{to_base64url(r.to_bytes(size) + s.to_bytes(size))}"


def algorithms_of(key: PublicKey) -> frozenset[str]:
    """What `key` may verify: one algorithm per curve, all RS and PS for RSA of at least 2048 bits."""
    if isinstance(key, rsa.RSAPublicKey):
        families = ("RS", "PS") if key.key_size >= MIN_RSA_BITS else ()
        return frozenset(family + size for family in families for size in _HASHES)
    name = _CURVES.get(key.curve.name)
    return frozenset() if name is None else frozenset((name,))


def to_base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The inverse; raises JwtInvalid for any other spelling of the same bytes too."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError, TypeError) as malformed:
        raise JwtInvalid(f"not base64url: {malformed}") from malformed
    if to_base64url(data) != text:
        raise JwtInvalid("not base64url: it could be written in another way")
    return data


def _padding(algorithm: str, digest: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if algorithm.startswith("RS"):
        return padding.PKCS1v15()
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)


def _as_der(signature: bytes, curve: ec.EllipticCurve) -> bytes:
    size = _scalar_bytes(curve)
    if len(signature) != 2 * size:
        raise JwtInvalid(f"the signature has not {2 * size} bytes")
    return encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))


def _scalar_bytes(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def _encoded(value: Mapping[str, Any]) -> str:
    return to_base64url(msgspec.json.encode(value))


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        # Strictly: where a key stands twice, readers disagree on which one counts (RFC 8725, section 2.4).
        value = parse(data, max_depth=MOST_LEVELS).value
    except JsonRefused as refused:
        raise JwtInvalid(f"the {what} of the token is no JSON ({refused.reason})") from refused
    if not isinstance(value, dict):
        raise JwtInvalid(f"the {what} of the token is no JSON object")
    return value
