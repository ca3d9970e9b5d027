"""Credentials without servers: a clock that stands, and an issuer that does as it is told."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

from mesh.policy.credentials import Credential, StaticSecret
from mesh.policy.documents import Backend, BackendProtocol, BackendTls, TlsMode
from mesh.policy.principal import User
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.kinds import NAMES
from sidecar.credentials.verified import Verified


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


def verified(name: str = "alice", *, expires: float = float("inf"), token: str | None = None) -> Verified:
    """The token of a user of idp.example, verified."""
    text = token or f"token-of-{name}"
    user = User("https://idp.example", name, frozenset({"orders.read"}))
    return Verified(user, text, expires, hashlib.sha256(text.encode()).digest())


def backend(credential: Credential | None, name: str = "crm", **fields: Any) -> Backend:
    """A Backend with this credential."""
    tls = BackendTls(TlsMode.PUBLIC)
    values: dict[str, Any] = {
        "namespace": "agents",
        "protocol": BackendProtocol.MCP,
        "host": f"{name}.example",
        "port": 443,
        "path": "/",
        "tls": tls,
        "credential": credential,
    }
    return Backend(name=name, **{**values, **fields})


@dataclass
class Policied:
    """A policy, as far as Sources look at it."""

    backends: tuple[Backend, ...]


class ByName:
    """Mints by the Backend's name what `Issuing` gives; remembers what was asked."""

    def __init__(self, issuing: Issuing) -> None:
        self.issuing = issuing
        self.asked: list[tuple[str, str | None, frozenset[str]]] = []

    def kind(self, credential: Credential) -> str:
        return NAMES[type(credential)]

    def server(self, credential: Credential) -> str:
        return "" if isinstance(credential, StaticSecret) else "https://idp.example"

    async def mint(self, backend: Backend, subject: Verified | None, scopes: frozenset[str]) -> Issued:
        self.asked.append((backend.name, None if subject is None else subject.user.subject, scopes))
        return await self.issuing.mint()


class Told:
    """What was written down: outcomes and counts."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.counted: list[tuple[str, str]] = []

    def credential(
        self, backend: str, kind: str, server: str, outcome: str, seconds: float, **fields: Any
    ) -> None:
        line = {"backend": backend, "kind": kind, "server": server, "outcome": outcome, "seconds": seconds}
        self.lines.append({**line, **fields})

    def credential_cache(self, backend: str, outcome: str) -> None:
        self.counted.append((backend, outcome))
