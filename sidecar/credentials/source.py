"""The credential of one Backend: who is asked for it, for whom, and who writes down what became of it.

Questions to one server wait in line, so that a crowd of users does not become one there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from mesh.policy.credentials import Credential, Exchange, IdJag, WithoutUser
from mesh.policy.documents import Backend
from mesh.protocol.oauth.presets import takes_actor
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.mint.secret import Held
from sidecar.credentials.verified import Verified

TURN_SECONDS = 10.0
"""For so long a question waits until its server has answered others; a server that hangs is not waited for."""

MOST_LIVE = 64
"""Credentials of one Backend that are looked for in its answers; others are found in those of their requests."""

NONE: frozenset[str] = frozenset()


class Minting(Protocol):
    """How each kind of credential is had: sidecar.credentials.kinds, but for tests."""

    def kind(self, credential: Credential) -> str:
        """As users write it: `exchange`, `githubApp`."""
        ...

    def server(self, credential: Credential) -> str:
        """Who is asked for it; empty for what needs nobody."""
        ...

    async def mint(self, backend: Backend, subject: Verified | None, scopes: frozenset[str]) -> Issued:
        """A new one with `scopes` besides the credential's own; raises CredentialRefused."""
        ...


class Tell(Protocol):
    """Who writes down what became of it: sidecar.telemetry.credential_record."""

    def credential(
        self,
        backend: str,
        kind: str,
        server: str,
        outcome: str,
        seconds: float,
        *,
        expires_in: float | None = None,
        scopes: frozenset[str] = NONE,
        user: str | None = None,
        actor: str | None = None,
        detail: str | None = None,
    ) -> None:
        """A server was asked; `outcome` is `issued` or the reason of the refusal."""
        ...

    def credential_cache(self, backend: str, outcome: str) -> None:
        """Something was not there, is renewed, or was refused a moment ago: `miss`, `refresh`, `negative`."""
        ...


class Source:
    """The credential of one Backend; it lives as long as the policies name the same."""

    __slots__ = (
        "_gate",
        "_live",
        "acts",
        "backend",
        "credential",
        "held",
        "kind",
        "of_user",
        "secrets",
        "server",
    )

    def __init__(
        self, backend: Backend, credential: Credential, kind: str, server: str, gate: asyncio.Semaphore
    ) -> None:
        self.backend = backend
        self.credential = credential
        self.kind = kind
        self.server = server
        self._gate = gate
        self.of_user = isinstance(credential, Exchange | IdJag)
        self.acts = isinstance(credential, Exchange) and takes_actor(credential)
        self.held: Held | None = None
        self._live: list[Issued] = []
        self.secrets: tuple[bytes, ...] = ()
        """What must not come back in any answer: of the newest credentials, whoever they are for."""

    def learn(self, issued: Issued, now: float) -> None:
        """This was issued, and may be told by the server in whatever answer it likes. `now`: since 1970."""
        live = [one for one in self._live if one.expires > now and one is not issued]
        self._live = [*live[1 - MOST_LIVE :], issued]
        self.secrets = tuple(dict.fromkeys(secret for one in self._live for secret in one.secrets))

    @property
    def needs_user(self) -> bool:
        """Without one there is nothing that could be exchanged."""
        credential = self.credential
        return self.of_user and not (
            isinstance(credential, Exchange) and credential.without_user is WithoutUser.CLIENT_CREDENTIALS
        )

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A place among the questions to the server; raises CredentialRefused where none gets free in time."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._gate.acquire()
        except TimeoutError:
            raise CredentialRefused(
                Reason.CREDENTIAL_UNAVAILABLE,
                f"Backend {self.backend.name}: {self.server} does not answer those who asked before",
            ) from None
        try:
            yield
        finally:
            self._gate.release()


Value = tuple[object, ...]


def value_of(backend: Backend) -> Value:
    """What a credential belongs to: a Backend that was moved elsewhere does not inherit it."""
    return (
        backend.namespace,
        backend.name,
        backend.host,
        backend.port,
        backend.path,
        backend.tls,
        backend.credential,
    )
