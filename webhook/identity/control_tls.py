"""How the control port proves who it is: a certificate of our own CA, renewed and replaced while connections last.

One for each replica, its key in memory alone. Besides names in DNS it has a SPIFFE ID, so it serves as an SVID as
well. Its chain goes on to older roots for those who know only one of these. Clients need no certificate; one that
is shown must come from our roots as they are now.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from mesh.identity.issue import new_svid
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, write_pem
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from webhook.admission.serving_tls import SwitchedCertificate
from webhook.cluster.failures import Log
from webhook.identity.authorities import NotSigning
from webhook.identity.keyring.in_force import InForce

LIFETIME: Final = timedelta(hours=24)
LOOK_SECONDS: Final = 300.0


class ControlCertificate(SwitchedCertificate):
    """`context` is given to the listener once; `refresh` keeps it in order."""

    __slots__ = (
        "_clock",
        "_due",
        "_force",
        "_log",
        "_made_of",
        "_names",
        "_roots",
        "_spiffe_id",
        "svid",
        "woken",
    )

    def __init__(
        self,
        force: InForce,
        spiffe_id: SpiffeId,
        names: Sequence[str],
        clock: Callable[[], datetime],
        log: Log,
    ) -> None:
        self._roots = ""
        super().__init__()
        self._force = force
        self._spiffe_id = spiffe_id
        self._names = tuple(names)
        self._clock = clock
        self._log = log
        self._made_of: tuple[object, ...] = ()
        self._due = clock()
        self.svid: X509Svid | None = None
        self.woken = asyncio.Event()

    def refresh(self) -> None:
        """Make a new certificate where half of its life has passed, or the CA has changed."""
        try:
            authority, roots = self._force.signing, self._force.roots_pem
        except NotSigning:
            return
        now = self._clock()
        made_of = (authority.certificate, roots, self._force.bridges)
        if made_of == self._made_of and now < self._due:
            return
        self._roots = roots
        svid = new_svid(authority, self._spiffe_id, now, LIFETIME, self._names)
        chain = write_pem(CERTIFICATE, *svid.chain_der, *self._force.bridges)
        self.use((chain + write_pem(PRIVATE_KEY, svid.key_pkcs8_der)).encode("ascii"))
        self.svid, self._made_of, self._due = svid, made_of, now + (svid.not_after - now) / 2
        self._log({"event": "control_certificate", "not_after": svid.not_after.isoformat()})

    async def run(self) -> None:
        """Refresh whenever `woken` is set and now and then, until cancelled."""
        told = ""
        while True:
            self.woken.clear()
            self.refresh()
            told = self._warn(told)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.woken.wait()

    def problems(self) -> list[str]:
        """Why nobody could connect; empty where they can."""
        if self.svid is None:
            return ["the control port has no certificate yet"]
        return ["the control port's certificate has expired"] if self._clock() >= self.svid.not_after else []

    def _fresh(self) -> ssl.SSLContext:
        context = super()._fresh()
        context.verify_mode = ssl.CERT_OPTIONAL
        if self._roots:
            context.load_verify_locations(cadata=self._roots)
        return context

    def _warn(self, told: str) -> str:
        """Say once a day that an authority which others renew is near its end."""
        sentence = self._force.aging()
        today = f"{self._clock():%Y-%m-%d} {sentence}" if sentence else ""
        if today != told and sentence:
            self._log({"event": "ca_expiry", "error": sentence})
        return today
