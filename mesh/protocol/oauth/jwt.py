"""Access tokens that are JWTs (RFC 7519, RFC 9068), verified as RFC 8725 asks.

The token may choose among what its issuer's entry allows, and nothing else: not the issuer beyond those that are
configured, not the kind of algorithm, and never a key. Header fields that bring a key or lead to one (`jwk`,
`jku`, `x5u`, `x5c`) are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mesh.identity.errors import JwtInvalid
from mesh.identity.jws import ALGORITHMS, MAX_TOKEN_BYTES, Jws, read_jws, verify
from mesh.policy.principal import User
from mesh.policy.user_auth import Issuer
from mesh.protocol.oauth.claims import (
    TokenInvalid,
    check_audience,
    check_binding,
    check_kind,
    expiry_of,
    malformed,
    user_of,
)
from mesh.protocol.oauth.jwks import MOST_CANDIDATES, SigningKey
from mesh.reasons import Reason

ACCESS_TOKEN_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""`typ`, in lower case; it may be absent. Everything else is a token for another purpose (RFC 8725, 3.11)."""

_MOST_KEY_ID = 1024


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A JWT taken apart. Nothing in it is proved; `issuer` serves to choose among those that are configured."""

    jws: Jws = field(repr=False)
    algorithm: str
    key_id: str | None
    issuer: str


@dataclass(frozen=True, slots=True)
class ProvenToken:
    """Who is behind a token that was verified. `expires`: seconds since 1970, without leeway."""

    user: User
    expires: float
    thumbprint: bytes
    """Of the key that it was signed by: once the issuer drops that key, the token is worth nothing."""


def read_token(token: str) -> UnverifiedToken:
    """Take a token apart and check its header; raises TokenInvalid."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenInvalid(Reason.TOKEN_TOO_LARGE, f"{len(token)} bytes, at most {MAX_TOKEN_BYTES} are read")
    try:
        jws = read_jws(token)
    except JwtInvalid as invalid:
        raise malformed(str(invalid)) from invalid
    _check_type(jws.header)
    issuer = jws.claims.get("iss")
    if not isinstance(issuer, str):
        raise malformed("iss is missing")
    if "events" in jws.claims:
        raise malformed("the token tells of events (RFC 8417) and gives no access")
    return UnverifiedToken(jws, _algorithm(jws.header), _key_id(jws.header), issuer)


def verify_token(
    token: UnverifiedToken, issuer: Issuer, keys: Sequence[SigningKey], now: float
) -> ProvenToken:
    """Check everything about a token of `issuer`; raises TokenInvalid.

    `keys`: the candidates among the issuer's keys; `now`: seconds since 1970.
    """
    if token.issuer != issuer.issuer:
        raise TokenInvalid(Reason.TOKEN_ISSUER, "iss is another issuer")
    check_algorithm(token, issuer)
    key = _signer(token, keys)
    claims = token.jws.claims
    expires = expiry_of(claims, now, issuer.skew_seconds)
    check_audience(claims, issuer)
    check_binding(claims)
    check_kind(claims)
    return ProvenToken(user_of(claims, issuer.issuer), expires, key.thumbprint)


def check_algorithm(token: UnverifiedToken, issuer: Issuer) -> None:
    """Raises TokenInvalid(TOKEN_ALGORITHM); whatever an entry says, nothing symmetric and no `none`."""
    if token.algorithm not in issuer.algorithms or token.algorithm not in ALGORITHMS:
        raise TokenInvalid(Reason.TOKEN_ALGORITHM, "alg is none of those that the issuer's entry allows")


def _signer(token: UnverifiedToken, keys: Sequence[SigningKey]) -> SigningKey:
    """The key that the token is signed by."""
    if not keys:
        raise TokenInvalid(Reason.TOKEN_KEY_UNKNOWN, "no key of the issuer is for this token")
    for key in keys[:MOST_CANDIDATES]:
        if token.algorithm not in key.algorithms:
            continue
        try:
            verify(token.jws, key.public)
        except JwtInvalid:
            continue
        return key
    raise TokenInvalid(Reason.TOKEN_SIGNATURE, f"signed by none of {len(keys)} keys")


def _check_type(header: Mapping[str, Any]) -> None:
    if "crit" in header:
        # None of the extensions that it could name is known here (RFC 7515, section 4.1.11).
        raise malformed("the header has crit")
    kind = header.get("typ")
    if kind is not None and not (isinstance(kind, str) and kind.lower() in ACCESS_TOKEN_TYPES):
        raise malformed("typ is not that of an access token")


def _algorithm(header: Mapping[str, Any]) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise malformed("alg is missing")
    return algorithm


def _key_id(header: Mapping[str, Any]) -> str | None:
    key_id = header.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and len(key_id) <= _MOST_KEY_ID):
        raise malformed("kid is no identifier")
    return key_id
