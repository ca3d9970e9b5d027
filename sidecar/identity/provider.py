"""What a source of identity is: anything that publishes an SVID with its bundles, and each change of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mesh.identity.bundle import TrustBundle
from mesh.identity.svid import X509Svid


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are and whom we can recognise: our SVID, and the bundle of each trust domain by its name."""

    svid: X509Svid
    bundles: Mapping[str, TrustBundle]


class IdentityProvider(Protocol):
    """A source of identity. `IdentityHolder.publish` is what it usually publishes to."""

    async def run(self, publish: Callable[[Identity], None]) -> None:
        """Publish each change until cancelled; retry for ever with backoff, never raise for a source gone.

        `publish` raises mesh.identity.errors.IdentityInvalid for material that cannot be used; the identity
        before it then stays in force.
        """
        ...


@runtime_checkable
class Renewable(IdentityProvider, Protocol):
    """A source that can be asked for another SVID before it is time."""

    def renew_now(self) -> None:
        """Get another SVID: the one in force is refused."""
        ...
