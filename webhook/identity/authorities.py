"""The keys that a CA signs with, rotated so that nobody is refused meanwhile.

A new authority is published before it signs, so that every bundle in the mesh holds it when its first SVID
appears; the one before it stays published until the last SVID that it signed has expired. Time alone drives this:
`tick` brings the state up to date, there is no task behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mesh.identity.bundle import TrustBundle
from mesh.identity.bundle_document import BundleDocument
from mesh.identity.ca import Authority, make_authority
from mesh.identity.jwt_svid import JwtKey, make_jwt_key


@dataclass(frozen=True, slots=True)
class RotationTimes:
    """authority  how long an authority is valid; it signs for half of that
    svid       how long an SVID is valid at most
    ahead      how long a new authority is published before it signs; more than two refreshes of the bundles
    """

    authority: timedelta = timedelta(days=2)
    svid: timedelta = timedelta(hours=1)
    ahead: timedelta = timedelta(minutes=15)

    def __post_init__(self) -> None:
        if self.authority < 4 * (self.svid + self.ahead):
            raise ValueError("an authority must live four times as long as an SVID and its own announcement")


@dataclass(frozen=True, slots=True)
class _Keys:
    """One generation: `until` is when it signs no more, then when it is withdrawn."""

    authority: Authority
    jwt_key: JwtKey
    until: datetime


class Authorities:
    """The authorities of `trust_domain`, X.509 and JWT alike. `clock` gives the time, aware."""

    def __init__(
        self, trust_domain: str, clock: Callable[[], datetime], times: RotationTimes | None = None
    ) -> None:
        self.trust_domain = trust_domain
        self.times = times or RotationTimes()
        self._clock = clock
        self._current = self._make()
        self._next: _Keys | None = None
        self._next_signs = clock()
        self._old: tuple[_Keys, ...] = ()
        # Grows across restarts too (SPIFFE Trust Domain and Bundle, 4.1.1).
        self._sequence = int(clock().timestamp())

    @property
    def signing(self) -> Authority:
        """Who signs SVIDs now."""
        return self._current.authority

    @property
    def jwt_key(self) -> JwtKey:
        """What signs tokens now."""
        return self._current.jwt_key

    def bundle(self, refresh_hint: int | None = None) -> BundleDocument:
        """What verifies all of them: the current generation, the next and those not yet withdrawn."""
        published = [self._current, *([self._next] if self._next else []), *self._old]
        x509 = TrustBundle(self.trust_domain, tuple(keys.authority.der for keys in published))
        jwt = {keys.jwt_key.key_id: keys.jwt_key.public for keys in published}
        return BundleDocument(x509, jwt, self._sequence, refresh_hint)

    def tick(self) -> None:
        """Announce, put in use and withdraw what is due."""
        now = self._clock()
        if self._next is None and now >= self._current.until - self.times.ahead:
            self.announce()
        if self._next is not None and now >= self._next_signs:
            self._use(self._next, now)
        kept = tuple(keys for keys in self._old if now < keys.until)
        if kept != self._old:
            self._old = kept
            self._sequence += 1

    def announce(self) -> None:
        """Publish a new generation now; it signs once `times.ahead` has passed. One at a time."""
        if self._next is None:
            self._next, self._next_signs = self._make(), self._clock() + self.times.ahead
            self._sequence += 1

    def replace_now(self) -> None:
        """Sign with a new generation at once and withdraw every other: for keys that leaked.

        Whoever has not seen the new bundle yet refuses until it has.
        """
        self._current, self._next, self._old = self._make(), None, ()
        self._sequence += 1

    def _use(self, new: _Keys, now: datetime) -> None:
        last = _Keys(self._current.authority, self._current.jwt_key, now + self.times.svid)
        self._old = (last, *self._old)
        self._current, self._next = new, None

    def _make(self) -> _Keys:
        now = self._clock()
        authority = make_authority(self.trust_domain, now, self.times.authority)
        return _Keys(authority, make_jwt_key(), now + self.times.authority / 2)


Federated = Mapping[str, BundleDocument]
"""The bundles of other trust domains, by name."""
