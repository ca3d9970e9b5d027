"""What the embedded Workload API serves: authorities, and an SVID for each registered workload.

A small state machine without sockets. Every change (rotation, new authority, federation, a registration) makes
sets the event `changed` and puts a fresh one in its place, so whoever streams takes the event first, then reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import Authority, make_authority
from mesh.identity.issue import new_svid
from mesh.identity.jwt_svid import JwtKey, make_jwt_key
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid

SVID_LIFETIME = timedelta(hours=1)
AUTHORITY_LIFETIME = timedelta(days=1)
MIN_ROTATION_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Workload:
    """A registered identity with its current SVID. `hint` tells several identities of one workload apart."""

    spiffe_id: SpiffeId
    hint: str
    svid: X509Svid


@dataclass(frozen=True, slots=True)
class ForeignDomain:
    """A federated trust domain: its X.509 authorities and its JWT authorities as a JWKS document."""

    x509: TrustBundle
    jwks: bytes | None = None


class Registry:
    """The trust domain `trust_domain`, its authorities and its workloads.

    `clock` gives the time, aware and in UTC. Workloads are kept by the path of the socket that serves them, so
    a path without registration is a caller without identity.
    """

    def __init__(
        self,
        trust_domain: str,
        clock: Callable[[], datetime],
        *,
        svid_lifetime: timedelta = SVID_LIFETIME,
        authority_lifetime: timedelta = AUTHORITY_LIFETIME,
    ) -> None:
        self.trust_domain = trust_domain
        self.clock = clock
        self.svid_lifetime = svid_lifetime
        self.authority_lifetime = authority_lifetime
        self.authorities: tuple[Authority, ...] = (self._new_authority(),)
        self.jwt_keys: tuple[JwtKey, ...] = (make_jwt_key(),)
        self.foreign: dict[str, ForeignDomain] = {}
        self.ready = True
        self._workloads: dict[Path, tuple[Workload, ...]] = {}
        self.changed = asyncio.Event()

    @property
    def bundle(self) -> TrustBundle:
        """The trust bundle of this domain: every authority not yet retired."""
        return TrustBundle(self.trust_domain, tuple(authority.der for authority in self.authorities))

    @property
    def next_rotation(self) -> datetime | None:
        """When half of the shortest SVID's lifetime is over; None while nothing is registered."""
        ends = [workload.svid.not_after for each in self._workloads.values() for workload in each]
        return min(ends) - self.svid_lifetime / 2 if ends else None

    def set_ready(self, ready: bool) -> None:
        """Callers are told UNAVAILABLE, and to come again, while this is False."""
        self.ready = ready
        self._tell()

    def workloads(self, socket: Path) -> tuple[Workload, ...]:
        """The identities that callers of `socket` are entitled to."""
        return self._workloads.get(socket, ())

    def register(self, socket: Path, spiffe_id: SpiffeId, hint: str = "") -> None:
        """Give callers of `socket` this identity besides those they have; raises SpiffeIdInvalid."""
        workload = Workload(spiffe_id, hint, self._issue(spiffe_id))
        self._workloads[socket] = (*self.workloads(socket), workload)
        self._tell()

    def unregister(self, socket: Path) -> None:
        """Take all identities from callers of `socket`."""
        self._workloads.pop(socket, None)
        self._tell()

    def rotate(self) -> None:
        """Issue every SVID anew, by the current authority."""
        self._reissue()
        self._tell()

    def rotate_authority(self, *, retire: bool = True) -> None:
        """Issue by a new authority from now on, for X.509 and JWT alike.

        `retire` drops the ones before at once, so that what they issued is trusted no more; otherwise they
        stay in the bundle until `retire_authorities`, which is how a domain rotates without refusals.
        """
        self.authorities = (self._new_authority(), *self.authorities)
        self.jwt_keys = (make_jwt_key(), *self.jwt_keys)
        if retire:
            self.retire_authorities()
        self._reissue()
        self._tell()

    def retire_authorities(self) -> None:
        """Leave only the current authority in the bundles."""
        self.authorities, self.jwt_keys = self.authorities[:1], self.jwt_keys[:1]
        self._tell()

    def federate(self, foreign: ForeignDomain) -> None:
        """Hand out the bundle of another trust domain too, or the new one in place of the old."""
        self.foreign[foreign.x509.trust_domain] = foreign
        self._tell()

    def end_federation(self, trust_domain: str) -> None:
        """Hand out the bundle of `trust_domain` no more."""
        self.foreign.pop(trust_domain, None)
        self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def _reissue(self) -> None:
        for socket, workloads in self._workloads.items():
            renewed = (replace(each, svid=self._issue(each.spiffe_id)) for each in workloads)
            self._workloads[socket] = tuple(renewed)

    def _issue(self, spiffe_id: SpiffeId) -> X509Svid:
        return new_svid(self.authorities[0], spiffe_id, self.clock(), self.svid_lifetime)

    def _new_authority(self) -> Authority:
        return make_authority(self.trust_domain, self.clock(), self.authority_lifetime)


async def rotate_for_ever(
    registry: Registry, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Rotate at half of each SVID's life, and the authority early enough for its SVIDs to live on."""
    while True:
        due, changed = registry.next_rotation, registry.changed
        if due is None:
            await changed.wait()
            continue
        await sleep(max((due - registry.clock()).total_seconds(), MIN_ROTATION_SECONDS))
        authority_ends = registry.authorities[0].certificate.not_valid_after_utc
        if authority_ends - registry.clock() < 2 * registry.svid_lifetime:
            registry.rotate_authority(retire=False)
        else:
            registry.rotate()
