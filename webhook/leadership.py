"""Which replica writes: the holder of a Lease (coordination.k8s.io/v1).

Whether a Lease has run out is judged by how long it has not changed before our own eyes, on our own clock, and not
by the time written in it: the clocks of two machines differ. Whoever holds it stops writing once its last renewal
is `renew_within` seconds old, which is before anybody else takes over. Every change names the resourceVersion that
it follows, so that of two who take over at once one fails.

    Election    what is known and what to write; no clock, no I/O
    campaign    the task that runs it
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from webhook.cluster.client import ApiClient, Collection, Document, decode
from webhook.cluster.failures import ApiFailed, Failure, Log, Troubles
from webhook.cluster.pace import Pace

LEASES = "/apis/coordination.k8s.io/v1"
_STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds. Others take over after `lease`, the holder stops after `renew_within`, one tries `every`."""

    lease: int = 15
    renew_within: float = 10.0
    every: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.every < self.renew_within < self.lease:
            raise ValueError(
                "a Lease must be renewed more often than its holder gives up, and that before it ends"
            )


class _Spec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct):
    spec: _Spec | None = None


class Election:
    """What one candidate knows. `now` is always seconds on a clock that only grows; `at` is the time of day."""

    __slots__ = ("_document", "_identity", "_renewed", "_seen", "_spec", "_terms", "holder")

    def __init__(self, identity: str, terms: Terms) -> None:
        self._identity = identity
        self._terms = terms
        self._document: Document = {}
        self._spec = _Spec()
        self._seen = 0.0
        self._renewed: float | None = None
        self.holder = ""

    def leading(self, now: float) -> bool:
        """May we write? Ask before every write."""
        return self._renewed is not None and now - self._renewed < self._terms.renew_within

    def observe(self, lease: bytes, now: float) -> None:
        """Take in the Lease as it is in the cluster. Raises ApiFailed where it cannot be read."""
        document = decode(lease, dict[str, Any])
        spec = decode(lease, _Lease).spec or _Spec()
        if not self._document or spec != self._spec:
            self._seen = now
        self._document, self._spec = document, spec
        self.holder = spec.holder_identity or ""
        if self.holder != self._identity:
            self._renewed = None

    def bid(self, now: float, at: datetime) -> Document | None:
        """The Lease with ourselves as its holder, or None while it is somebody else's."""
        ours = self.holder == self._identity
        if not ours and self.holder and now - self._seen < (self._spec.lease_duration_seconds or 0):
            return None
        stamp = at.astimezone(UTC).strftime(_STAMP)
        transitions = self._spec.lease_transitions or 0
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._terms.lease,
            "acquireTime": self._spec.acquire_time if ours and self._spec.acquire_time else stamp,
            "renewTime": stamp,
            "leaseTransitions": transitions if ours else transitions + 1,
        }
        return self._with(spec)

    def won(self, lease: bytes, began: float) -> None:
        """Our bid, sent at `began`, was taken: we lead from then on."""
        self.observe(lease, began)
        self._seen = began
        self._renewed = began if self.holder == self._identity else None

    def resignation(self) -> Document | None:
        """The Lease for anybody to take, or None where it is not ours. We do not lead from here on."""
        self._renewed = None
        if self.holder != self._identity:
            return None
        return self._with(
            {
                "holderIdentity": "",
                "leaseDurationSeconds": 1,
                "leaseTransitions": self._spec.lease_transitions or 0,
            }
        )

    def _with(self, spec: Document) -> Document:
        return {**self._document, "spec": {**(self._document.get("spec") or {}), **spec}}


@dataclass(slots=True)
class Candidate:
    """A replica that wants to lead. `changed` is called when it begins or ceases to."""

    client: ApiClient
    namespace: str
    lease: str
    election: Election
    terms: Terms
    pace: Pace
    troubles: Troubles
    log: Log
    time_of_day: Callable[[], datetime]
    changed: Callable[[], None]
    _led: bool = False
    _left: bool = False
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def leading(self) -> bool:
        """May we write? Ask before every write."""
        return self.election.leading(self.pace.clock())

    async def campaign(self) -> None:
        """Try to get the Lease, and keep it, until cancelled."""
        attempt = 0
        while not self._left:
            try:
                async with self._writing:
                    await self._try()
                self.troubles.well("lease")
                attempt, wait = 0, self.terms.every * (0.9 + self.pace.chance() / 5)
            except ApiFailed as error:
                if error.failure is not Failure.CONFLICT:  # somebody was faster, which is no trouble
                    self.troubles.failed("lease", error)
                attempt += 1
                wait = min(self.terms.every, self.pace.delay(attempt))
                wait = max(wait, error.retry_after)
            self._tell()
            await self.pace.sleep(wait)

    async def _try(self) -> None:
        if self._left:
            return
        collection, clock = Collection(LEASES, "leases", self.namespace), self.pace.clock
        self.election.observe(await self.client.get(collection, self.lease), clock())
        began = clock()
        bid = self.election.bid(began, self.time_of_day())
        if bid is not None:
            self.election.won(await self.client.replace(collection, self.lease, bid), began)

    async def resign(self) -> None:
        """Let somebody else lead at once. Where that fails, the Lease runs out by itself."""
        self._left = True
        async with self._writing:
            document = self.election.resignation()
            self._tell()
            if document is None:
                return
            try:
                await self.client.replace(Collection(LEASES, "leases", self.namespace), self.lease, document)
            except ApiFailed as error:
                self.troubles.failed("lease", error)

    def _tell(self) -> None:
        leading = self.leading
        if leading is not self._led:
            self._led = leading
            self.log({"event": "leading" if leading else "following", "holder": self.election.holder})
            self.changed()
