"""Who signs, and what verifies it: one interface, for a keyring that a Secret holds and for one in memory alone.

The one in memory is for one machine: it carries out by itself, whenever it is asked, what the leader of a cluster
does to the Secret.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from mesh.identity.bundle_document import BundleDocument
from mesh.identity.ca import Authority
from mesh.identity.jwt_svid import JwtKey
from webhook.identity.keyring.plan import Act, Asked, next_step, perform
from webhook.identity.keyring.values import Keyring, Times

Federated = Mapping[str, BundleDocument]
"""The bundles of other trust domains, by name."""


class NotSigning(Exception):
    """There is nothing to sign with now; the installation is at fault, or has only begun."""


class Authorities(Protocol):
    """The authorities of `trust_domain`, X.509 and JWT alike, at the time that it is."""

    trust_domain: str
    times: Times

    @property
    def signing(self) -> Authority:
        """Who signs SVIDs now; raises NotSigning."""
        ...

    @property
    def jwt_key(self) -> JwtKey:
        """What signs tokens now; raises NotSigning."""
        ...

    def bundle(self, refresh_hint: int | None = None) -> BundleDocument:
        """What verifies all of them; raises NotSigning where nothing is known yet."""
        ...


class InMemory:
    """Authorities that nobody else knows and that end with the process. `clock` gives the time, aware."""

    def __init__(self, trust_domain: str, clock: Callable[[], datetime], times: Times | None = None) -> None:
        self.trust_domain = trust_domain
        self.times = times or quick_times()
        self._clock = clock
        self._asked = Asked()
        self._wishes = map(str, itertools.count(1))
        self._keyring: Keyring | None = None

    @property
    def signing(self) -> Authority:
        """See Authorities, as for all below."""
        return self._now().issuer(self._clock()).authority

    @property
    def jwt_key(self) -> JwtKey:
        key = self._now().token_key(self._clock()).key
        assert key is not None  # noqa: S101 - what signs has its key
        return key

    def bundle(self, refresh_hint: int | None = None) -> BundleDocument:
        return self._now().bundle(refresh_hint)

    def announce(self) -> None:
        """Publish a new root and a new token key now; they sign once `times.ahead` has passed. One at a time."""
        self._asked = Asked(next(self._wishes), self._asked.replace)
        self._now()

    def replace_now(self) -> None:
        """Sign with new ones at once and withdraw every other: for keys that leaked.

        Whoever has not seen the new bundle yet refuses until it has.
        """
        self._asked = Asked(self._asked.rotate, next(self._wishes))
        self._now()

    def _now(self) -> Keyring:
        """Everything that is due, done."""
        while True:
            now = self._clock()
            step = next_step(self._keyring, self._asked, now, self.times)
            if step.act is Act.REST and self._keyring is not None:
                return self._keyring
            self._keyring = perform(step, self._keyring, self.trust_domain, self._asked, now, self.times)


def quick_times(
    root: timedelta = timedelta(days=2),
    svid: timedelta = timedelta(hours=1),
    ahead: timedelta = timedelta(minutes=15),
) -> Times:
    """Times for one machine, where `ahead` need only be more than two refreshes of the bundles.

    Raises ValueError for a root that does not live about eight times as long as an SVID.
    """
    margin = svid / 4
    jwt = min(timedelta(minutes=5), svid)
    issuer = root / 2 - ahead - svid - margin
    if issuer < 2 * svid:
        raise ValueError("an authority must live eight times as long as an SVID and its own announcement")
    return Times(root, issuer, root, svid, jwt, ahead, margin, root)
