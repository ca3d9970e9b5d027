"""JWT-SVIDs: issuing them, checking those that others present, and reading our own.

Source: SPIFFE JWT-SVID specification. As with certificates, the subject's own trust domain chooses the keys: a
federated domain cannot sign for ours.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from mesh.identity.errors import JwtInvalid, SpiffeIdInvalid
from mesh.identity.jws import ALGORITHMS, PublicKey, key_id_of, read_jws, sign, verify
from mesh.identity.spiffe_id import SpiffeId

HEADER_NAMES = frozenset({"alg", "kid", "typ"})
TYPES = ("JWT", "JOSE")


@dataclass(frozen=True, slots=True)
class JwtSvid:
    """A token of our own: who it speaks for, to whom it may be shown, and until when (UTC)."""

    spiffe_id: SpiffeId
    audience: tuple[str, ...]
    expires_at: datetime
    token: str = field(repr=False)

    @classmethod
    def parse(cls, token: str) -> JwtSvid:
        """Read a token that a provider gave us; raises JwtInvalid.

        Its shape is checked, its signature is not: who trusts the provider with the key trusts it with this.
        """
        jws = read_jws(token)
        _check_header(jws.header)
        _start(jws.claims)
        return cls(
            _subject(jws.claims),
            _audience(jws.claims),
            datetime.fromtimestamp(_expiry(jws.claims), UTC),
            token,
        )


@dataclass(frozen=True, slots=True)
class JwtKey:
    """A P-256 key that signs JWT-SVIDs, with the identifier by which the bundle names it."""

    key_id: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """What the bundle holds."""
        return self.key.public_key()


def make_jwt_key() -> JwtKey:
    """A new key with a random identifier."""
    return JwtKey(secrets.token_urlsafe(16), ec.generate_private_key(ec.SECP256R1()))


def issue_jwt_svid(
    key: JwtKey,
    spiffe_id: SpiffeId,
    audience: Sequence[str],
    now: datetime,
    lifetime: timedelta,
    issuer: str | None = None,
) -> str:
    """Sign a token for `spiffe_id` that the members of `audience` accept.

    `issuer` is for those who verify it as OpenID Connect does (`iss`); SPIFFE has no use for it.
    """
    issued = int(now.timestamp())
    expiry = issued + int(lifetime.total_seconds())
    claims: dict[str, Any] = {"sub": str(spiffe_id), "aud": list(audience), "iat": issued, "exp": expiry}
    if issuer is not None:
        claims["iss"] = issuer
    return sign(key.key, key.key_id, claims)


def validate_jwt_svid(
    token: str, audience: str, keys: Mapping[str, Mapping[str, PublicKey]], now: datetime
) -> tuple[SpiffeId, Mapping[str, Any]]:
    """Check a token at `now` (aware); returns its subject and claims, raises JwtInvalid.

    `keys` maps the name of a trust domain to the keys of its bundle with use `jwt-svid`, by identifier.
    """
    jws = read_jws(token)
    _check_header(jws.header)
    subject = _subject(jws.claims)
    if subject.trust_domain not in keys:
        raise JwtInvalid(f"there is no bundle for {subject.trust_domain}")
    key_id = key_id_of(jws)
    key = keys[subject.trust_domain].get(key_id)
    if key is None:
        raise JwtInvalid(f"no key of {subject.trust_domain} has the identifier {key_id!r}")
    verify(jws, key)
    _check_dates(jws.claims, now.timestamp())
    if audience not in _audience(jws.claims):
        raise JwtInvalid(f"the token is not for the audience {audience!r}")
    return subject, jws.claims


def _check_header(header: Mapping[str, Any]) -> None:
    """Nothing that could name a key or a meaning of its own is allowed (JWT-SVID, section 2)."""
    more = sorted(header.keys() - HEADER_NAMES)
    if more:
        raise JwtInvalid(f"the header holds {', '.join(more)}; only alg, kid and typ are allowed")
    if header.get("alg") not in ALGORITHMS:
        raise JwtInvalid(f"the algorithm {header.get('alg')!r} is not accepted")
    if not isinstance(header.get("kid", ""), str):
        raise JwtInvalid("kid is no text")
    if header.get("typ", "JWT") not in TYPES:
        raise JwtInvalid("typ must be JWT or JOSE")


def _subject(claims: Mapping[str, Any]) -> SpiffeId:
    try:
        subject = SpiffeId.parse(str(claims.get("sub")))
    except SpiffeIdInvalid as invalid:
        raise JwtInvalid(f"sub: {invalid}") from invalid
    if not subject.path:
        raise JwtInvalid(f"sub: {subject} names a trust domain, not a workload")
    return subject


def _check_dates(claims: Mapping[str, Any], now: float) -> None:
    """Neither end has leeway: who issues a token for at once leaves `nbf` out, or puts it a little earlier."""
    if now >= _expiry(claims):
        raise JwtInvalid("the token has expired")
    if now < _start(claims):
        raise JwtInvalid(f"the token is not valid before {datetime.fromtimestamp(_start(claims), UTC)}")


def _expiry(claims: Mapping[str, Any]) -> float:
    if isinstance(claims.get("exp"), bool | None):
        raise JwtInvalid("exp is missing")
    return _date(claims["exp"], "exp")


def _start(claims: Mapping[str, Any]) -> float:
    """`nbf`, which may be left out (RFC 7519, 4.1.5)."""
    return _date(claims["nbf"], "nbf") if "nbf" in claims else 0.0


def _date(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LATEST:
        raise JwtInvalid(f"{name} is no date")
    return value


def _audience(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """`aud`, which may stand without a list for one member (RFC 7519, 4.1.3)."""
    audience = claims.get("aud")
    members = (audience,) if isinstance(audience, str) else audience
    if not isinstance(members, list | tuple) or not members:
        raise JwtInvalid("aud is missing")
    if not all(isinstance(member, str) for member in members):
        raise JwtInvalid("aud is no list of names")
    return tuple(members)


_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
