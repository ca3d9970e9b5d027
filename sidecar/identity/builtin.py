"""Identity from the mesh's own CA: a key made here, certified for the ServiceAccount that our token proves.

The key never leaves memory, each renewal has a new one; kept_identity is for a process that starts anew. An SVID
is renewed long before it expires, at a moment drawn at random so that a whole cluster does not ask at once; the
bundles, which may change sooner, are looked at as often as the CA says. When the CA fails, the SVID stays in force
until it expires and the CA is asked again.

Whom we trust never waits for who we are: bundles that withdraw an authority go in force even when it is the one
that signed our own SVID and no other can be had.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from sidecar.control.failed import CallFailed, Cause
from sidecar.identity.backoff import Backoff
from sidecar.identity.ca_client import CaClient
from sidecar.identity.endless import endless
from sidecar.identity.holder import utc_now
from sidecar.identity.jwt_source import JwtUnavailable, jwt_fault
from sidecar.identity.kept_identity import KeptIdentity
from sidecar.identity.own_identity import SvidOutOfDate, check_own_identity
from sidecar.identity.provider import Identity
from sidecar.identity.told_once import ToldOnce
from sidecar.tasks import spawn

RENEW_AT = (0.5, 0.65)
"""Between which fractions of what is left of its life an SVID is renewed."""
SHORTEST_SECONDS = 1.0
LONGEST_SLEEP = 60.0
LONGEST_RETRY_AFTER = 300.0


class BuiltinProvider:
    """Publishes the identity that `client` gets from the CA, and each change of it.

    spiffe_id   which identity it must be; None takes what the CA gives
    on_problem  told in a sentence when something becomes wrong, once
    kept        what a process before this one may have left; None: nothing, and nothing is left
    draw        a number from 0 up to 1; no secret
    """

    def __init__(
        self,
        client: CaClient,
        *,
        spiffe_id: str | None = None,
        on_problem: Callable[[str], None] = lambda sentence: None,
        kept: KeptIdentity | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._wanted = spiffe_id
        self._told = ToldOnce(on_problem)
        self._kept = kept
        self._restored = kept is None
        self._backoff = backoff or Backoff(first=0.5)
        self._restarts = Backoff(first=1.0)
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._current: Identity | None = None
        self._renew_at: datetime | None = None
        self._cut_off = False
        self._woken = asyncio.Event()

    async def run(self, publish: Callable[[Identity], None]) -> None:
        """Get, renew and refresh until cancelled."""
        await endless(lambda: self._keep(publish), self._unforeseen, self._restarts, self._sleep)

    async def _keep(self, publish: Callable[[Identity], None]) -> None:
        await self._restore(publish)
        while True:
            self._woken.clear()
            delay = await self._step(publish)
            await self._remember()
            await self._wait(self._clock() + timedelta(seconds=delay))

    def renew_now(self) -> None:
        """Do not wait for half of the SVID's life: somebody who should accept it refuses it."""
        if self._current is not None:
            self._renew_at = self._clock()
            self._woken.set()

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvid:
        """A token from the CA for `audience`; raises JwtUnavailable."""
        try:
            svid = read_jwt_svid(await self._client.jwt_svid(audience), audience)
        except CallFailed as failed:
            raise JwtUnavailable(failed.detail) from failed
        except IdentityInvalid as invalid:
            raise JwtUnavailable(f"the CA gave a token that cannot be used: {invalid}") from invalid
        own = self._current.svid.spiffe_id if self._current else None
        if fault := jwt_fault(svid, audience, own, self._clock()):
            raise JwtUnavailable(f"the CA gave a token that cannot be used: {fault}")
        return svid

    async def _wait(self, until: datetime) -> None:
        """In short steps: a machine that was asleep must notice at once that it is late."""
        while not self._woken.is_set() and (left := (until - self._clock()).total_seconds()) > 0:
            sleeping = spawn(self._slept(min(left, LONGEST_SLEEP)), name="wait for the next look at the CA")
            waking = spawn(self._woken.wait(), name="wish for a new SVID")
            try:
                await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
                waking.cancel()

    async def _slept(self, seconds: float) -> None:
        await self._sleep(seconds)

    # What outlives the process.

    async def _restore(self, publish: Callable[[Identity], None]) -> None:
        """Put what a process before this one had in force at once; whom to trust is looked up next."""
        if self._restored or self._kept is None:
            return
        self._restored = True
        identity = await self._kept.restore(self._clock(), self._wanted)
        if identity is None:
            return
        try:
            publish(identity)
        except SvidInvalid as refused:
            self._told.problem("restored", f"the SVID that was kept cannot be used: {refused}")
            return
        self._current = identity
        self._renew_at = self._clock() + self._until_renewal(identity.svid)

    async def _remember(self) -> None:
        if self._kept is None or self._current is None:
            return
        now = self._clock()
        if self._cut_off or now >= self._current.svid.not_after:
            await self._kept.forget()
        else:
            await self._kept.keep(self._current, now)

    # What is asked of the CA.

    async def _step(self, publish: Callable[[Identity], None]) -> float:
        """Do what is due; returns after how many seconds to come again."""
        try:
            delay = await self._ask(publish)
        except CallFailed as failed:
            return self._failed(failed.cause, failed.detail, failed.retry_after)
        except SvidOutOfDate as skewed:
            return self._failed(Cause.CLOCK, f"our clock and the CA's differ: {skewed}")
        except IdentityInvalid as invalid:
            return self._failed(Cause.MALFORMED, f"the CA's answer cannot be used: {invalid}")
        self._backoff.reset()
        self._told.over()
        return delay

    async def _ask(self, publish: Callable[[Identity], None]) -> float:
        if self._current is None or self._renew_at is None:
            answer: SvidAnswer | BundlesAnswer = await self._renew(publish)
        elif self._clock() >= self._renew_at:
            answer = await self._renew_or_look(self._current.svid, publish)
        else:
            answer = await self._refresh(self._current.svid, publish)
        return self._delay(refresh_seconds(answer))

    async def _refresh(
        self, svid: X509Svid, publish: Callable[[Identity], None]
    ) -> SvidAnswer | BundlesAnswer:
        answer = await self._client.bundles()
        if self._trust(Identity(svid, _bundles(answer)), publish):
            return answer
        return await self._renew(publish)

    async def _renew_or_look(self, svid: X509Svid, publish: Callable[[Identity], None]) -> SvidAnswer:
        """Renew; where that fails, see whom to trust all the same before it is told."""
        try:
            return await self._renew(publish)
        except (CallFailed, IdentityInvalid):
            with contextlib.suppress(CallFailed, IdentityInvalid):
                self._trust(Identity(svid, _bundles(await self._client.bundles())), publish)
            raise

    def _trust(self, identity: Identity, publish: Callable[[Identity], None]) -> bool:
        """Put new bundles in force beside the SVID that we have; False when peers would refuse it by them.

        Then the authority that signed it was withdrawn before its time, so nobody's SVID of it may be accepted
        any more. Bundles that lack our own domain withdraw nothing: they are malformed, and not taken.
        """
        try:
            check_own_identity(identity, self._clock(), self._wanted)
        except SvidInvalid as refused:
            if identity.svid.spiffe_id.trust_domain not in identity.bundles:
                return False
            usable, cut_off = False, not isinstance(refused, SvidOutOfDate)
        else:
            usable, cut_off = True, False
        if identity != self._current:
            # Whoever reports takes this for the end of a problem; if it is none, that is to be told again.
            self._told.over()
        publish(identity)
        self._current, self._cut_off = identity, cut_off
        return usable

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
        self._current, self._cut_off = identity, False

    def _until_renewal(self, svid: X509Svid) -> timedelta:
        first, last = RENEW_AT
        left = svid.not_after - self._clock()
        return max(left * (first + (last - first) * self._draw()), timedelta(seconds=SHORTEST_SECONDS))

    def _delay(self, refresh: float | None) -> float:
        assert self._renew_at is not None  # noqa: S101 - set with the first SVID
        renewal = (self._renew_at - self._clock()).total_seconds()
        return max(min(renewal, renewal if refresh is None else refresh), SHORTEST_SECONDS)

    def _unforeseen(self, sentence: str) -> None:
        self._told.problem(sentence, f"{sentence}{self._lasts()}")

    def _failed(self, cause: Cause, detail: str, retry_after: float | None = None) -> float:
        told = f"{cause} cut off" if self._cut_off else cause
        self._told.problem(told, f"{detail}{self._lasts()}")
        return max(self._backoff.next(), min(retry_after or 0.0, LONGEST_RETRY_AFTER))

    def _lasts(self) -> str:
        if self._current is None:
            return ""
        lasts = f"; the SVID in force lasts until {self._current.svid.not_after}"
        if not self._cut_off:
            return lasts
        return f"{lasts}, though its authority was withdrawn: who has the new bundles, as we have, refuses it"


def _bundles(answer: SvidAnswer | BundlesAnswer) -> Mapping[str, TrustBundle]:
    return {name: bundle.x509 for name, bundle in read_bundles(answer).items()}
