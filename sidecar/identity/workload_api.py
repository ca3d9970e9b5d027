"""Identity from a SPIFFE Workload API (SPIRE or another).

The provider never gives up: a stream that ended, an agent that is gone, hangs or was replaced, an identity that
is not there yet or cannot be used are told, and asked for again with backoff. What was published stays in force
meanwhile; the holder judges when it has expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from mesh.identity.bundle import TrustBundle
from mesh.identity.errors import IdentityInvalid, SpiffeIdInvalid, SvidInvalid
from mesh.identity.jwt_svid import JwtSvid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from sidecar.identity.backoff import Backoff
from sidecar.identity.endless import endless
from sidecar.identity.holder import utc_now
from sidecar.identity.jwt_source import JwtUnavailable, jwt_fault
from sidecar.identity.own_identity import check_own_identity
from sidecar.identity.provider import Identity
from sidecar.identity.told_once import ToldOnce
from sidecar.identity.workload_api_jwt import fetch_jwt_svid
from sidecar.identity.workload_api_stream import Stream, StreamOver

OnProblem = Callable[[str], None]

# An agent may take minutes for its first answer, when it asks a kubelet that does not answer; so it is told soon
# and given up late.
SLOW_SECONDS = 10.0
SILENT_SECONDS = 120.0
JWT_SECONDS = 10.0
# Agents renew at about half of an SVID's life. A stream that is silent for longer than this part of what was left
# has perhaps lost its other end; asking anew costs one call.
LATE = 0.7
LEAST_SECONDS = 5.0


class WorkloadApiProvider:
    """Publishes the SVID and bundles of the Workload API at `socket` ("unix:///run/spire/agent.sock").

    spiffe_id   which SVID to take where there are several: its SPIFFE ID, or the hint that goes with it. None
                takes the first, which the specification calls the default identity.
    on_problem  told in a sentence of each failure, once for each cause: no socket, no identity yet, an agent that
                does not answer, a message that cannot be used.
    """

    def __init__(
        self,
        socket: str,
        *,
        spiffe_id: str | None = None,
        on_problem: OnProblem = lambda sentence: None,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime] = utc_now,
        slow: float = SLOW_SECONDS,
        silent: float = SILENT_SECONDS,
        least: float = LEAST_SECONDS,
    ) -> None:
        self._socket = socket
        self._wanted = spiffe_id
        self._on_problem = on_problem
        self._told = ToldOnce(on_problem)
        # The agent is on this machine, so asking is cheap, and a pod that starts waits for its entry.
        self._backoff = backoff or Backoff(longest=5.0)
        self._sleep = sleep
        self._clock = clock
        self._slow, self._silent, self._least = slow, silent, least
        self._current: Identity | None = None

    async def run(self, publish: Callable[[Identity], None]) -> None:
        """Publish until cancelled."""
        await endless(lambda: self._keep(publish), self._problem, self._backoff, self._sleep)

    async def _keep(self, publish: Callable[[Identity], None]) -> None:
        while True:
            stream = Stream(self._socket)
            try:
                self._take(await self._first(stream), publish)
                while True:
                    async with asyncio.timeout(self._patience()):
                        message = await stream.next()
                    self._take(message, publish)
            except StreamOver as over:
                self._problem(str(over))
            except TimeoutError:
                pass  # told by _first, or nothing but a precaution
            finally:
                await stream.stop()
            await self._sleep(self._backoff.next())

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvid:
        """A token from the agent for `audience`, of the same identity; raises JwtUnavailable."""
        own = self._own()
        asked = "" if own is None else str(own)
        token = await asyncio.to_thread(fetch_jwt_svid, self._socket, audience, asked, JWT_SECONDS)
        try:
            svid = JwtSvid.parse(token)
        except IdentityInvalid as invalid:
            raise JwtUnavailable(f"the Workload API gave a token that cannot be used: {invalid}") from invalid
        if fault := jwt_fault(svid, audience, own, self._clock()):
            raise JwtUnavailable(f"the Workload API gave a token that cannot be used: {fault}")
        return svid

    def _own(self) -> SpiffeId | None:
        """Who we are, None for the default identity; raises JwtUnavailable while a hint says nothing yet."""
        if self._current is not None:
            return self._current.svid.spiffe_id
        if self._wanted is None:
            return None
        try:
            return SpiffeId.parse(self._wanted)
        except SpiffeIdInvalid as hint:
            raise JwtUnavailable(f"no identity with the hint {self._wanted!r} has come yet") from hint

    async def _first(self, stream: Stream) -> Any:
        """The first message of a stream, which an agent that is well sends at once; raises TimeoutError."""
        try:
            async with asyncio.timeout(self._slow):
                return await stream.next()
        except TimeoutError:
            self._problem(f"the Workload API at {self._socket} has not answered for {self._slow:g} s")
        async with asyncio.timeout(self._silent):
            return await stream.next()

    def _patience(self) -> float:
        """For how many seconds a stream that has spoken may be silent."""
        if self._current is None:
            return self._least
        left = (self._current.svid.not_after - self._clock()).total_seconds()
        return max(left * LATE, self._least)

    def _take(self, message: Any, publish: Callable[[Identity], None]) -> None:
        try:
            identity = read_identity(message, self._wanted, self._on_problem)
            check_own_identity(identity, self._clock())
            publish(identity)
        except IdentityInvalid as invalid:
            self._problem(f"the Workload API sent an identity that cannot be used: {invalid}")
        else:
            self._current = identity
            self._told.over()
            self._backoff.reset()

    def _problem(self, sentence: str) -> None:
        self._told.problem(sentence, sentence)


def read_identity(message: Any, wanted: str | None, on_problem: OnProblem) -> Identity:
    """Read an X509SVIDResponse; raises IdentityInvalid when the SVID or its own bundle cannot be used.

    A federated bundle that is malformed is reported and left out: its domain is not trusted, ours goes on.
    """
    chosen = _choose(message.svids, wanted)
    svid = X509Svid.parse(chosen.x509_svid, chosen.x509_svid_key)
    if str(svid.spiffe_id) != chosen.spiffe_id:
        raise SvidInvalid(f"the SVID announced as {chosen.spiffe_id} is that of {svid.spiffe_id}")
    bundles = {}
    for name, authorities in message.federated_bundles.items():
        try:
            bundle = TrustBundle.from_der(SpiffeId.parse(name).trust_domain, authorities)
        except IdentityInvalid as invalid:
            on_problem(f"the federated bundle {name} is left out: {invalid}")
        else:
            bundles[bundle.trust_domain] = bundle
    own = svid.spiffe_id.trust_domain
    bundles[own] = TrustBundle.from_der(own, chosen.bundle)
    return Identity(svid, bundles)


def _choose(svids: Sequence[Any], wanted: str | None) -> Any:
    for svid in svids:
        if wanted is None or wanted in (svid.spiffe_id, svid.hint):
            return svid
    there = ", ".join(svid.spiffe_id for svid in svids) or "none"
    raise SvidInvalid(f"no SVID has the identity or hint {wanted!r}; there are: {there}")
