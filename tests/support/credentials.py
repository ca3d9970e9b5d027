"""Credentials without servers: a clock that stands, and an issuer that does as it is told."""

from __future__ import annotations

import asyncio

from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused, Issued


class Clock:
    """Seconds since 1970, when it is told."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(8):
        await asyncio.sleep(0)


class Issuing:
    """Mints credentials that live `life` seconds; held back, refusing or breaking as told."""

    def __init__(self, now: Clock, life: float = 100.0) -> None:
        self.life = life
        self.begun = self.cancelled = self.under_way = self.most_at_once = 0
        self.breaks = self.stubborn = False
        self._now = now
        self._refused: tuple[Reason, str, float | None] | None = None
        self._free = asyncio.Event()
        self._free.set()

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def refuse(self, reason: Reason, detail: str = "no", retry_after: float | None = None) -> None:
        self._refused = (reason, detail, retry_after)

    def accept(self) -> None:
        self._refused = None

    async def mint(self) -> Issued:
        self.begun += 1
        number = self.begun
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await self._wait()
        finally:
            self.under_way -= 1
        if self.breaks:
            raise RuntimeError("broken")
        if self._refused is not None:
            raise CredentialRefused(*self._refused)
        token = b"secret-%d" % number
        return Issued([(b"authorization", b"Bearer " + token)], (token,), self._now() + self.life)

    async def _wait(self) -> None:
        try:
            await self._free.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            if not self.stubborn:
                raise
            await self._free.wait()
