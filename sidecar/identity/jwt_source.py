"""Where JWT-SVIDs come from: what providers of identity that have them offer besides the X509-SVID.

A token is for an audience, so it is asked for when it is needed; who asks often keeps what it got.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mesh.identity.jwt_svid import JwtSvid


class JwtUnavailable(Exception):
    """There is no token for this audience now. The provider or its configuration is at fault, as it says."""


@runtime_checkable
class JwtSource(Protocol):
    """A source of JWT-SVIDs for this workload."""

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvid:
        """A token that each of `audience` accepts, valid now; raises JwtUnavailable. Never from a cache."""
        ...
