"""Where JWT-SVIDs come from: what providers of identity that have them offer besides the X509-SVID.

A token is for an audience, so it is asked for when it is needed; who asks often keeps what it got.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

from mesh.identity.jwt_svid import JwtSvid
from mesh.identity.spiffe_id import SpiffeId


class JwtUnavailable(Exception):
    """There is no token for this audience now. The provider or its configuration is at fault, as it says."""


@runtime_checkable
class JwtSource(Protocol):
    """A source of JWT-SVIDs for this workload."""

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvid:
        """A token that each of `audience` accepts, valid now; raises JwtUnavailable. Never from a cache."""
        ...


def jwt_source_of(provider: object) -> JwtSource | None:
    """The provider of identity, if it has JWT-SVIDs too."""
    return provider if isinstance(provider, JwtSource) else None


def jwt_fault(svid: JwtSvid, audience: tuple[str, ...], own: SpiffeId | None, now: datetime) -> str | None:
    """Why a token that a provider gave would be refused by whom it is for; None when it would not.

    `own`: whose it must be, None while that is not known.
    """
    if now >= svid.expires_at:
        return f"the token expired at {svid.expires_at}"
    if not set(audience) <= set(svid.audience):
        return f"the token is for {', '.join(svid.audience)}, not for {', '.join(audience)}"
    if own is not None and svid.spiffe_id != own:
        return f"the token is that of {svid.spiffe_id}, and we are {own}"
    return None
