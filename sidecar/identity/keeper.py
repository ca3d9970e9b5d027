"""Our own identity over the life of a process: begun, waited for, and told of when it changes, fails or ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mesh.reasons import Reason
from sidecar.identity.expiry import ExpiryWatch
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.provider import Identity, IdentityProvider
from sidecar.tasks import spawn
from sidecar.telemetry import names
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics


class IdentityKeeper:
    """Runs a source of identity into `holder`. `changed` is called after each change."""

    def __init__(
        self, holder: IdentityHolder, log: Log, metrics: Metrics, changed: Callable[[], None]
    ) -> None:
        self._holder = holder
        self._log = log
        self._metrics = metrics
        self._changed = changed
        self._running: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._expiry = ExpiryWatch(holder, self._expired)
        self.trouble = ""
        """What the source last complained of, if it does."""

    def begin(self, source: IdentityProvider | None) -> None:
        """Have `source` publish; None: there shall be no identity."""
        if source is not None:
            self._holder.subscribe(self._published)
            self._running = spawn(source.run(self._holder.publish), name="identity provider")

    async def first(self) -> None:
        """Until there is an identity, or will be none."""
        if self._running is None:
            return
        waiting = spawn(self._arrived.wait(), name="first SVID")
        try:
            await asyncio.wait((waiting, self._running), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    async def stop(self) -> None:
        """Renew no more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._expiry.stop()

    def problem(self, sentence: str) -> None:
        """The source has to wait, or cannot renew."""
        self.trouble = sentence
        self._log.write("identity_problem", detail=sentence)

    def _expired(self, identity: Identity) -> None:
        svid = identity.svid
        self._log.write(
            "identity_expired",
            reason=Reason.SVID_EXPIRED,
            spiffe_id=str(svid.spiffe_id),
            since=svid.not_after.isoformat(),
        )

    def _published(self, identity: Identity) -> None:
        self.trouble = ""
        self._arrived.set()
        self._metrics.count(names.IDENTITY_ROTATIONS)
        self._changed()
        self._log.write(
            "identity",
            spiffe_id=str(identity.svid.spiffe_id),
            serial=identity.svid.serial,
            not_after=identity.svid.not_after.isoformat(),
            trust_domains=sorted(identity.bundles),
        )
