"""Judging ServiceAccount tokens by the keys of their issuer, without asking an API server.

What it cannot know is whether the pod still exists: a token stays good until it expires. Kubernetes' TokenReview
knows, so a cluster should ask that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from mesh.identity.errors import JwtInvalid
from mesh.identity.issuance import Refusal
from mesh.identity.jws import PublicKey, key_id_of, read_jws, verify
from webhook.identity.token_reviewer import Caller, TokenRefused

SKEW_SECONDS = 30.0
LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


class LocalReviewer:
    """Accepts tokens of `issuer` for `audience`, signed by one of `keys` (by identifier)."""

    def __init__(
        self, issuer: str, audience: str, keys: Mapping[str, PublicKey], clock: Callable[[], datetime]
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock

    async def review(self, token: str, source: str = "") -> Caller:
        """See TokenReviewer."""
        try:
            claims = self._verified(token)
        except JwtInvalid as invalid:
            raise _refused(str(invalid)) from invalid
        self._check_issuer_and_audience(claims)
        self._check_dates(claims)
        return _caller(claims, datetime.fromtimestamp(_date(claims, "exp"), UTC))

    def _verified(self, token: str) -> Mapping[str, Any]:
        jws = read_jws(token)
        key_id = key_id_of(jws)
        key = self._keys.get(key_id)
        if key is None:
            raise JwtInvalid(f"the issuer has no key {key_id!r}")
        verify(jws, key)
        return jws.claims

    def _check_issuer_and_audience(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != self._issuer:
            raise _refused(f"it is of the issuer {claims.get('iss')!r}, not of {self._issuer!r}")
        audience = claims.get("aud")
        if audience != self._audience and (not isinstance(audience, list) or self._audience not in audience):
            raise _refused(f"it is for the audience {audience!r}, not for {self._audience!r}")

    def _check_dates(self, claims: Mapping[str, Any]) -> None:
        now, expiry, start = self._clock().timestamp(), _date(claims, "exp"), _date(claims, "nbf", 0)
        if now >= expiry:
            raise TokenRefused(Refusal.TOKEN_EXPIRED, f"it expired {now - expiry:.0f} s ago")
        if now < start - SKEW_SECONDS:
            raise _refused(f"it is not valid for another {start - now:.0f} s")


def _caller(claims: Mapping[str, Any], expires: datetime) -> Caller:
    """The workload that the API server wrote into the token; `sub` must say the same."""
    about = claims.get("kubernetes.io")
    namespace = about.get("namespace") if isinstance(about, dict) else None
    account, pod, uid = _field(about, "serviceaccount"), _field(about, "pod"), _field(about, "pod", "uid")
    if not isinstance(namespace, str) or not account:
        raise _refused("it is no ServiceAccount's: the kubernetes.io claims are missing")
    if claims.get("sub") != f"system:serviceaccount:{namespace}:{account}":
        raise _refused("its subject is not the ServiceAccount that it names")
    return Caller(namespace, account, expires, pod, uid)


def _field(about: Any, kind: str, field: str = "name") -> str:
    entry = about.get(kind) if isinstance(about, dict) else None
    value = entry.get(field) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else ""


def _date(claims: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = claims.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _refused(f"{name} is no date")
    if not -LATEST <= value <= LATEST:
        raise _refused(f"{name} is no date")
    return value


def _refused(detail: str) -> TokenRefused:
    return TokenRefused(Refusal.TOKEN_REFUSED, detail)
