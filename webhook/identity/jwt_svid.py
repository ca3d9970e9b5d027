"""JWT-SVIDs: issuing and validating them with ES256, and their keys as a JWKS document.

Source: SPIFFE JWT-SVID specification; RFC 7515 and 7518, 3.4 (an ES256 signature is r and s, 32 bytes each).
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from mesh.identity.errors import IdentityInvalid, SpiffeIdInvalid
from mesh.identity.spiffe_id import SpiffeId

_ES256 = ec.ECDSA(hashes.SHA256())
_HEADER_NAMES = {"alg", "kid", "typ"}


class JwtInvalid(IdentityInvalid):
    """The token is no valid JWT-SVID for this audience now; whoever presents it is at fault."""


@dataclass(frozen=True, slots=True)
class JwtKey:
    """A P-256 key that signs JWT-SVIDs, with the identifier by which the bundle names it."""

    key_id: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def make_jwt_key() -> JwtKey:
    """A new key with a random identifier."""
    return JwtKey(secrets.token_urlsafe(16), ec.generate_private_key(ec.SECP256R1()))


def jwks(keys: Sequence[JwtKey]) -> bytes:
    """The public halves as a JWKS document (SPIFFE Trust Domain and Bundle, section 4)."""
    return json.dumps({"keys": [_jwk(key) for key in keys]}).encode()


def issue_jwt_svid(
    key: JwtKey, spiffe_id: SpiffeId, audience: Sequence[str], now: datetime, lifetime: timedelta
) -> str:
    """Sign a token for `spiffe_id` that the members of `audience` accept."""
    issued = int(now.timestamp())
    claims = {
        "sub": str(spiffe_id),
        "aud": list(audience),
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
    }
    signed = f"{_encode({'alg': 'ES256', 'kid': key.key_id, 'typ': 'JWT'})}.{_encode(claims)}"
    r, s = decode_dss_signature(key.key.sign(signed.encode(), _ES256))
    return f"{signed}.{_base64(r.to_bytes(32) + s.to_bytes(32))}"


def validate_jwt_svid(
    token: str, audience: str, keys: Mapping[str, Mapping[str, ec.EllipticCurvePublicKey]], now: datetime
) -> tuple[SpiffeId, dict[str, Any]]:
    """Check a token; returns its subject and claims, raises JwtInvalid.

    `keys` maps the name of a trust domain to its keys by identifier: the subject's domain chooses among them.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise JwtInvalid("the token has not three parts")
    header, claims = _decode(parts[0]), _decode(parts[1])
    if not set(header) <= _HEADER_NAMES or header.get("alg") != "ES256":
        raise JwtInvalid("the header may hold alg (ES256 here), kid and typ alone")
    if header.get("typ", "JWT") not in ("JWT", "JOSE"):
        raise JwtInvalid("typ must be JWT or JOSE")
    subject = _subject(claims)
    key = keys.get(subject.trust_domain, {}).get(str(header.get("kid")))
    if key is None:
        raise JwtInvalid(f"no key of {subject.trust_domain} has the identifier {header.get('kid')!r}")
    _check_signature(key, f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2]))
    _check_claims(claims, audience, now)
    return subject, claims


def keys_of(document: bytes) -> dict[str, ec.EllipticCurvePublicKey]:
    """The P-256 keys of a JWKS document by identifier; others are of no use here and left out.

    Raises JwtInvalid when it is no such document.
    """
    found = {}
    try:
        for jwk in json.loads(document)["keys"]:
            if jwk.get("kty") == "EC" and jwk.get("crv") == "P-256" and jwk.get("use") in (None, "jwt-svid"):
                x, y = (int.from_bytes(_bytes(jwk[name])) for name in ("x", "y"))
                found[jwk["kid"]] = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except (ValueError, KeyError, TypeError, AttributeError) as malformed:
        raise JwtInvalid(f"not a JWKS document: {malformed}") from malformed
    return found


def _jwk(key: JwtKey) -> dict[str, str]:
    point = key.key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "use": "jwt-svid",
        "kid": key.key_id,
        "x": _base64(point.x.to_bytes(32)),
        "y": _base64(point.y.to_bytes(32)),
    }


def _subject(claims: dict[str, Any]) -> SpiffeId:
    try:
        return SpiffeId.parse(str(claims.get("sub")))
    except SpiffeIdInvalid as invalid:
        raise JwtInvalid(f"sub: {invalid}") from invalid


def _check_signature(key: ec.EllipticCurvePublicKey, signed: bytes, signature: bytes) -> None:
    if len(signature) != 64:
        raise JwtInvalid("the signature has not 64 bytes")
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        key.verify(encode_dss_signature(r, s), signed, _ES256)
    except InvalidSignature as wrong:
        raise JwtInvalid("the signature is wrong") from wrong


def _check_claims(claims: dict[str, Any], audience: str, now: datetime) -> None:
    expiry, audiences = claims.get("exp"), claims.get("aud")
    if not isinstance(expiry, int | float) or isinstance(expiry, bool):
        raise JwtInvalid("exp is missing")
    if now.timestamp() >= expiry:
        raise JwtInvalid("the token has expired")
    if isinstance(audiences, str):
        audiences = [audiences]
    if not isinstance(audiences, list) or audience not in audiences:
        raise JwtInvalid(f"the token is not for the audience {audience!r}")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _encode(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError, TypeError) as malformed:
        raise JwtInvalid(f"not base64url: {malformed}") from malformed


def _decode(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(part))
    except (ValueError, RecursionError) as malformed:
        raise JwtInvalid(f"a part of the token is no JSON: {malformed}") from malformed
    if not isinstance(value, dict):
        raise JwtInvalid("a part of the token is no JSON object")
    return value
