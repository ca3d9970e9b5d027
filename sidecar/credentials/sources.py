"""What is put into requests to each Backend: looked up where it is there, obtained where it is not.

What one user's token was exchanged for is kept under that token and no other, and what belongs to the agent alone
under none. Nothing is kept of a Backend whose credential the policy in force does not name.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

from mesh.policy.credentials import Credential, Hidden, StaticSecret
from mesh.policy.documents import Backend
from mesh.protocol.http1.heads import ResponseHead
from mesh.reasons import Reason
from sidecar.credentials.cache import TokenCache
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.mint.secret import Held
from sidecar.credentials.rejections import Rejections
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.source import NONE, Minting, Source, Tell, Value, value_of
from sidecar.credentials.step_up import FORBIDDEN, Wider, more_scopes
from sidecar.credentials.verified import Verified

UNAUTHORIZED = 401


class Backends(Protocol):
    """A policy, as far as it matters here."""

    backends: tuple[Backend, ...]


_Key = tuple[Source, bytes | None, frozenset[str], str | None]
"""The source, the SHA-256 of the user's token where it is for one, the additional scopes, our SPIFFE ID."""


class Sources:
    """The credentials of all Backends of the policy in force, given by `use`.

    `own` gives our SPIFFE ID: what was issued to one identity is not used by another. `at_once`: so many questions
    to one server, others wait their turn. `now`: seconds since 1970; `clock`: seconds that never go back.
    """

    __slots__ = (
        "_at_once",
        "_by_value",
        "_cache",
        "_clock",
        "_gates",
        "_kinds",
        "_now",
        "_own",
        "_rejections",
        "_secrets",
        "_sources",
        "_tell",
        "_wider",
        "issued",
    )

    def __init__(
        self,
        kinds: Minting,
        secrets: SecretFiles,
        tell: Tell,
        *,
        own: Callable[[], str | None] = lambda: None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        limit: int = 4096,
        at_once: int = 64,
    ) -> None:
        self._kinds = kinds
        self._secrets = secrets
        self._tell = tell
        self._own = own
        self._now = now
        self._clock = clock
        self._at_once = at_once
        self._cache: TokenCache[_Key] = TokenCache(limit=limit, now=now, draw=draw, counted=self._counted)
        self._rejections: Rejections[_Key] = Rejections(limit, now)
        self._wider: Wider[_Key] = Wider(limit, now)
        self._sources: dict[Backend, Source] = {}
        self._by_value: dict[Value, Source] = {}
        self._gates: dict[str, asyncio.Semaphore] = {}
        self.issued = 0
        """How many credentials were: where it has changed, `secrets` may have."""

    def use(self, policy: Backends) -> None:
        """This is the policy from now on; what belongs to Backends that it does not have like this is gone."""
        by_value: dict[Value, Source] = {}
        sources: dict[Backend, Source] = {}
        for backend in policy.backends:
            credential = backend.credential
            if credential is None or isinstance(credential, Hidden):
                continue
            value = value_of(backend)
            source = self._by_value.get(value) or self._source(backend, credential)
            by_value[value] = sources[backend] = source
        self._sources, self._by_value = sources, by_value
        left = frozenset(by_value.values())
        servers = {source.server for source in left}
        self._gates = {server: gate for server, gate in self._gates.items() if server in servers}
        self._cache.forget_where(lambda key: key[0] not in left)
        self._rejections.forget_where(lambda key: key[0] not in left)
        self._wider.forget_where(lambda key: key[0] not in left)

    def _source(self, backend: Backend, credential: Credential) -> Source:
        server = self._kinds.server(credential)
        gate = self._gates.setdefault(server, asyncio.Semaphore(self._at_once))
        source = Source(backend, credential, self._kinds.kind(credential), server, gate)
        if isinstance(credential, StaticSecret):
            source.held = Held(credential, self._secrets)
        return source

    def ready(
        self, backend: Backend, subject: Verified | None, scopes: frozenset[str] = NONE
    ) -> Issued | None:
        """What is there for a request to `backend` on behalf of `subject`; None: it has to be obtained.

        `scopes`: those that `rejected` gave. Hot path: a few look-ups.
        """
        source = self._sources.get(backend) or self._find(backend)
        if source is None:
            return None
        if source.held is not None:
            return source.held.ready()
        of = subject.key if subject is not None and source.of_user else None
        own = self._own()
        if self._wider:
            scopes |= self._wider.of((source, of, NONE, own))
        return self._cache.ready((source, of, scopes, own))

    async def obtain(
        self, backend: Backend, subject: Verified | None, scopes: frozenset[str] = NONE
    ) -> Issued:
        """The same, asked for where it is not there; raises CredentialRefused. All who wait share one question."""
        source = self._source_of(backend)
        if source.held is not None:
            return self._read(source, source.held)
        whose = subject if source.of_user else None
        until = float("inf")
        if whose is not None:
            until = whose.expires
            if until <= self._now():
                raise CredentialRefused(
                    Reason.TOKEN_EXPIRED, f"Backend {backend.name}: the token of {whose.user} has expired"
                )
        elif source.needs_user:
            raise CredentialRefused(
                Reason.SUBJECT_MISSING,
                f"Backend {backend.name}: its credential is exchanged for a user's token",
            )
        scopes |= self._wider.of(self._key(source, whose, NONE))
        mint = partial(self._mint, source, whose, scopes)
        return await self._cache.obtain(self._key(source, whose, scopes), mint, until=until)

    def rejected(
        self,
        backend: Backend,
        subject: Verified | None,
        issued: Issued,
        head: ResponseHead,
        scopes: frozenset[str] = NONE,
    ) -> frozenset[str] | None:
        """The server answered a request with this credential with 401 or 403; `scopes` as it was asked for.

        None: pass the answer on. Else obtain again with these scopes and send the request once more. No more than
        one credential in ten seconds is thrown away for a 401, however often the server says so.
        """
        source = self._find(backend)
        if source is None:
            return None
        if head.status not in (FORBIDDEN, UNAUTHORIZED):
            return None
        if source.held is not None:
            return scopes if head.status == UNAUTHORIZED and source.held.another(issued) else None
        whose = subject if source.of_user else None
        wide = scopes | self._wider.of(self._key(source, whose, NONE))
        key = self._key(source, whose, wide)
        current = self._cache.ready(key)
        if head.status == FORBIDDEN:
            # One that left before the wider scopes were there was not asked for with them.
            return more_scopes(source.credential, wide if current is issued else scopes, head)
        if current is not None and current is not issued:
            # Renewed while the request was under way.
            return scopes
        if not self._rejections.may_renew(key, issued):
            return None
        self._cache.forget(key, issued)
        return scopes

    def secrets(self, backend: Backend) -> tuple[bytes, ...]:
        """What its server may know of credentials, the agent's and every user's: the newest that are valid."""
        source = self._find(backend)
        return () if source is None else source.secrets

    def withdraw(self, keys: Collection[bytes]) -> None:
        """The users' tokens with these keys count no longer, nor does what they were exchanged for."""
        gone = frozenset(keys)
        for known in (self._cache, self._rejections, self._wider):
            known.forget_where(lambda key: key[1] in gone)

    def _find(self, backend: Backend) -> Source | None:
        """Also for a Backend of the policy before, whose requests are still under way: by what it says."""
        return self._sources.get(backend) or self._by_value.get(value_of(backend))

    def _source_of(self, backend: Backend) -> Source:
        source = self._find(backend)
        if source is None:
            raise CredentialRefused(
                Reason.CREDENTIAL_UNAVAILABLE,
                f"Backend {backend.name} has another credential by now, or none; send the request again",
            )
        return source

    def _key(self, source: Source, whose: Verified | None, scopes: frozenset[str]) -> _Key:
        return source, None if whose is None else whose.key, scopes, self._own()

    def _read(self, source: Source, held: Held) -> Issued:
        known = held.ready()
        if known is not None:
            return known
        try:
            issued = held.obtain()
        except CredentialRefused as refused:
            self._told(source, None, refused.reason, 0.0, NONE, detail=refused.detail)
            raise
        self._learn(source, issued)
        self._told(source, None, "issued", 0.0, NONE)
        return issued

    async def _mint(self, source: Source, whose: Verified | None, scopes: frozenset[str]) -> Issued:
        began = self._clock()
        try:
            async with source.turn():
                began = self._clock()
                issued = await self._kinds.mint(source.backend, whose, scopes)
        except CredentialRefused as refused:
            took = self._clock() - began
            self._told(source, whose, refused.reason, took, scopes, detail=refused.detail)
            if refused.reason is Reason.CREDENTIAL_REFUSED:
                self._wider.forget(self._key(source, whose, NONE))
            raise
        until = float("inf") if whose is None else whose.expires
        self._wider.remember(self._key(source, whose, NONE), scopes, issued, until)
        self._learn(source, issued)
        lives = None if issued.expires == float("inf") else issued.expires - self._now()
        self._told(source, whose, "issued", self._clock() - began, issued.scopes or scopes, expires_in=lives)
        return issued

    def _learn(self, source: Source, issued: Issued) -> None:
        source.learn(issued, self._now())
        self.issued += 1

    def _told(
        self,
        source: Source,
        whose: Verified | None,
        outcome: str,
        seconds: float,
        scopes: frozenset[str],
        *,
        expires_in: float | None = None,
        detail: str | None = None,
    ) -> None:
        self._tell.credential(
            source.backend.name,
            source.kind,
            source.server,
            outcome,
            seconds,
            expires_in=expires_in,
            scopes=scopes,
            user=None if whose is None else str(whose.user),
            actor=self._own() if source.acts and whose is not None else None,
            detail=detail,
        )

    def _counted(self, key: _Key, outcome: str) -> None:
        self._tell.credential_cache(key[0].backend.name, outcome)
