"""The identity in force now, with the TLS contexts made from it.

One object per process. A provider publishes to it; whoever makes a connection asks it. Each change is a new
generation with new contexts: connections that exist go on under the old ones until they reach their deadline.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mesh.identity.verify import VerifiedPeer, verify_chain
from mesh.reasons import Reason
from sidecar.identity.contexts import client_context, server_context
from sidecar.identity.provider import Identity
from sidecar.identity.refused import TlsRefused


def utc_now() -> datetime:
    """The wall clock, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _InForce:
    identity: Identity
    server_context: ssl.SSLContext
    client_context: ssl.SSLContext


class IdentityHolder:
    """Holds the current identity; `generation` counts the changes, 0 before the first.

    `clock` returns the current time, aware and in UTC.
    """

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self.clock = clock
        self.generation = 0
        self.own_id: str | None = None
        """Our SPIFFE ID, as text; None before the first SVID."""
        self._in_force: _InForce | None = None
        self._subscribers: list[Callable[[Identity], None]] = []

    @property
    def current(self) -> Identity | None:
        """The identity in force, expired or not; None before the first."""
        return None if self._in_force is None else self._in_force.identity

    def publish(self, identity: Identity) -> None:
        """Put `identity` in force and tell the subscribers; the same identity again changes nothing.

        Raises SvidInvalid, and keeps what was in force, when no TLS context can be made from it.
        """
        if identity == self.current:
            return
        self._in_force = _InForce(identity, server_context(identity), client_context(identity))
        self.own_id = str(identity.svid.spiffe_id)
        self.generation += 1
        for subscriber in tuple(self._subscribers):
            subscriber(identity)

    def subscribe(self, subscriber: Callable[[Identity], None]) -> Callable[[], None]:
        """Have `subscriber` called after each change, in the loop's thread; returns how to end that.

        Ending it again does nothing.
        """
        self._subscribers.append(subscriber)

        def end() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return end

    def ready(self, now: datetime) -> bool:
        """Whether there is an SVID that is still valid at `now`."""
        return self.current is not None and now < self.current.svid.not_after

    def seconds_to_expiry(self, now: datetime) -> float | None:
        """Seconds from `now` to the end of the SVID, negative once it is past, None without an SVID."""
        if self.current is None:
            return None
        return (self.current.svid.not_after - now).total_seconds()

    @property
    def server_context(self) -> ssl.SSLContext:
        """For accepting; raises TlsRefused with NO_SVID or SVID_EXPIRED."""
        return self._usable().server_context

    @property
    def client_context(self) -> ssl.SSLContext:
        """For dialling; raises TlsRefused with NO_SVID or SVID_EXPIRED."""
        return self._usable().client_context

    def verify(self, chain_der: Sequence[bytes]) -> VerifiedPeer:
        """Verify a peer against the bundles in force now; raises PeerRefused, or TlsRefused as above."""
        return verify_chain(chain_der, self._usable().identity.bundles, self.clock())

    def _usable(self) -> _InForce:
        if self._in_force is None:
            raise TlsRefused(Reason.NO_SVID, "the identity provider has not given an SVID yet")
        if not self.ready(self.clock()):
            svid = self._in_force.identity.svid
            raise TlsRefused(Reason.SVID_EXPIRED, f"{svid.spiffe_id} expired at {svid.not_after}")
        return self._in_force
