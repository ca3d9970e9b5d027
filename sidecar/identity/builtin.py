"""Identity from the mesh's own CA: a key made here, certified for the ServiceAccount that our token proves.

The key never leaves memory, each renewal has a new one. An SVID is renewed long before it expires, at a moment
drawn at random so that a whole cluster does not ask at once; the bundles, which may change sooner, are looked at
as often as the CA says. When the CA fails, the SVID stays in force until it expires and the CA is asked again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.identity.bundle import TrustBundle
from mesh.identity.csr import make_csr
from mesh.identity.errors import IdentityInvalid, SvidInvalid
from mesh.identity.issuance import (
    BundlesAnswer,
    SvidAnswer,
    read_bundles,
    read_chain,
    read_jwt_svid,
    refresh_seconds,
)
from mesh.identity.jwt_svid import JwtSvid
from mesh.identity.svid import X509Svid
from sidecar.identity.backoff import Backoff
from sidecar.identity.ca_client import CaClient, CaFailed, Cause
from sidecar.identity.holder import utc_now
from sidecar.identity.jwt_source import JwtUnavailable, jwt_fault
from sidecar.identity.own_identity import SvidOutOfDate, check_own_identity
from sidecar.identity.provider import Identity
from sidecar.identity.told_once import ToldOnce

RENEW_AT = (0.5, 0.65)
"""Between which fractions of what is left of its life an SVID is renewed."""
SHORTEST_SECONDS = 1.0
LONGEST_SLEEP = 60.0
LONGEST_RETRY_AFTER = 300.0


class BuiltinProvider:
    """Publishes the identity that `client` gets from the CA, and each change of it.

    spiffe_id   which identity it must be; None takes what the CA gives
    on_problem  told in a sentence when something becomes wrong, once
    draw        a number from 0 up to 1; no secret
    """

    def __init__(
        self,
        client: CaClient,
        *,
        spiffe_id: str | None = None,
        on_problem: Callable[[str], None] = lambda sentence: None,
        backoff: Backoff | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._wanted = spiffe_id
        self._told = ToldOnce(on_problem)
        self._backoff = backoff or Backoff(first=0.5)
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._current: Identity | None = None
        self._renew_at: datetime | None = None

    async def run(self, publish: Callable[[Identity], None]) -> None:
        """Get, renew and refresh until cancelled."""
        while True:
            await self._wait(self._clock() + timedelta(seconds=await self._step(publish)))

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvid:
        """A token from the CA for `audience`; raises JwtUnavailable."""
        try:
            svid = read_jwt_svid(await self._client.jwt_svid(audience), audience)
        except CaFailed as failed:
            raise JwtUnavailable(failed.detail) from failed
        except IdentityInvalid as invalid:
            raise JwtUnavailable(f"the CA gave a token that cannot be used: {invalid}") from invalid
        own = self._current.svid.spiffe_id if self._current else None
        if fault := jwt_fault(svid, audience, own, self._clock()):
            raise JwtUnavailable(f"the CA gave a token that cannot be used: {fault}")
        return svid

    async def _wait(self, until: datetime) -> None:
        """In short steps: a machine that was asleep must notice at once that it is late."""
        while (left := (until - self._clock()).total_seconds()) > 0:
            await self._sleep(min(left, LONGEST_SLEEP))

    async def _step(self, publish: Callable[[Identity], None]) -> float:
        """Do what is due; returns after how many seconds to come again."""
        try:
            delay = await self._ask(publish)
        except CaFailed as failed:
            return self._failed(failed.cause, failed.detail, failed.retry_after)
        except SvidOutOfDate as skewed:
            return self._failed(Cause.CLOCK, f"our clock and the CA's differ: {skewed}")
        except IdentityInvalid as invalid:
            return self._failed(Cause.MALFORMED, f"the CA's answer cannot be used: {invalid}")
        self._backoff.reset()
        self._told.over()
        return delay

    async def _ask(self, publish: Callable[[Identity], None]) -> float:
        now = self._clock()
        if self._current is None or self._renew_at is None or now >= self._renew_at:
            answer: SvidAnswer | BundlesAnswer = await self._renew(publish)
        else:
            answer = await self._refresh(self._current.svid, publish)
        return self._delay(refresh_seconds(answer))

    async def _refresh(
        self, svid: X509Svid, publish: Callable[[Identity], None]
    ) -> SvidAnswer | BundlesAnswer:
        answer = await self._client.bundles()
        try:
            self._take(Identity(svid, _bundles(answer)), publish)
        except SvidInvalid:
            # The authority that signed our SVID was withdrawn before its time: peers trust it no more.
            return await self._renew(publish)
        return answer

    async def _renew(self, publish: Callable[[Identity], None]) -> SvidAnswer:
        key = ec.generate_private_key(ec.SECP256R1())
        answer = await self._client.svid(make_csr(key))
        pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        svid = X509Svid.parse(read_chain(answer), pkcs8)
        self._take(Identity(svid, _bundles(answer)), publish)
        self._renew_at = self._clock() + self._until_renewal(svid)
        return answer

    def _take(self, identity: Identity, publish: Callable[[Identity], None]) -> None:
        check_own_identity(identity, self._clock(), self._wanted)
        publish(identity)
        self._current = identity

    def _until_renewal(self, svid: X509Svid) -> timedelta:
        first, last = RENEW_AT
        left = svid.not_after - self._clock()
        return max(left * (first + (last - first) * self._draw()), timedelta(seconds=SHORTEST_SECONDS))

    def _delay(self, refresh: float | None) -> float:
        assert self._renew_at is not None  # noqa: S101 - set with the first SVID
        renewal = (self._renew_at - self._clock()).total_seconds()
        return max(min(renewal, renewal if refresh is None else refresh), SHORTEST_SECONDS)

    def _failed(self, cause: Cause, detail: str, retry_after: float | None = None) -> float:
        kept = f"; the SVID in force lasts until {self._current.svid.not_after}" if self._current else ""
        self._told.problem(cause, f"{detail}{kept}")
        return max(self._backoff.next(), min(retry_after or 0.0, LONGEST_RETRY_AFTER))


def _bundles(answer: SvidAnswer | BundlesAnswer) -> Mapping[str, TrustBundle]:
    return {name: bundle.x509 for name, bundle in read_bundles(answer).items()}
