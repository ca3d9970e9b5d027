"""Asking issuers about tokens (RFC 7662), one question for each token however many requests bring it.

Who remembers the answer is `Users`. A server that cannot be reached is left alone for some seconds. One that can,
and answers something else or nothing, is not: a caller might have chosen a token that it cannot cope with. Then
only that token is left alone, unless those of several callers go without an answer one after the other.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

from mesh.policy.credentials import TokenServer
from mesh.policy.user_auth import Introspection, Issuer
from mesh.protocol.http1.heads import Headers
from mesh.protocol.oauth.claims import TokenInvalid
from mesh.protocol.oauth.form import MEDIA_TYPE
from mesh.protocol.oauth.introspection import (
    ActiveToken,
    IntrospectionInvalid,
    introspection_request,
    read_introspection,
)
from sidecar.credentials.client_proof import Proof
from sidecar.credentials.fetch import Fetched, Fetcher, FetchFailed
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.key_sets import Metadata, Tells
from sidecar.credentials.questions import Questions, too_many
from sidecar.credentials.refreshed import FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS, Unavailable
from sidecar.tasks import spawn

ASK_SECONDS = 5.0
ANSWER_BYTES = 64 * 1024
MOST_AT_ONCE = 64
"""Questions under way; made-up tokens must not become a flood at the issuer."""
MOST_OF_ONE = MOST_AT_ONCE // 4
"""Of those that one caller began, so that slow answers to its tokens leave room for others."""
FAILED_SECONDS = 5.0
"""For so long a token is not asked about again that there was no answer to."""
MOST_FAILED = 1024

_HEADERS: Headers = [(b"content-type", MEDIA_TYPE), (b"accept", b"application/json")]


class Proofs(Protocol):
    """sidecar.credentials.client_proof.ClientProof."""

    async def __call__(self, server: TokenServer, endpoint: str, issuer: str | None) -> Proof:
        """Raises CredentialRefused."""
        ...


class _Unanswered(NamedTuple):
    """The last token that there was no answer to, since there was one to any."""

    key: bytes
    caller: str


class Introspector:
    """Asks. `proofs`: how we prove ourselves to the issuer; `now`: seconds since 1970; `questions`: how many."""

    def __init__(
        self,
        fetch: Fetcher,
        metadata: Metadata,
        proofs: Proofs,
        now: Callable[[], float],
        tells: Tells,
        questions: Questions,
    ) -> None:
        self._fetch = fetch
        self._metadata = metadata
        self._proofs = proofs
        self._now = now
        self._tells = tells
        self._asked: dict[tuple[Issuer, str], asyncio.Task[ActiveToken | TokenInvalid | Unavailable]] = {}
        self._questions = questions
        self._begun: Counter[str] = Counter()
        self._silent: dict[str, tuple[int, float]] = {}
        self._unanswered: dict[str, _Unanswered] = {}
        self._failed: dict[tuple[str, bytes], float] = {}

    async def ask(self, token: str, issuer: Issuer, caller: str) -> ActiveToken:
        """What `issuer`, whose entry has `introspection`, says of a token that `caller` brought.

        Raises TokenInvalid, Unavailable, and TokenRefused for a caller that has asked too much.
        """
        key = issuer, token
        asked = self._asked.get(key)
        if asked is None:
            self._check_pause(issuer.issuer)
            self._check_failed(issuer.issuer, token)
            self._check_room(caller)
            self._questions.take(caller)
            self._begun[caller] += 1
            asked = self._asked[key] = spawn(self._answer(token, issuer, caller), name="introspect a token")
            asked.add_done_callback(lambda done: self._done(key, caller))
        # Whoever waits may leave; the others wait on.
        said = await asyncio.shield(asked)
        if isinstance(said, ActiveToken):
            return said
        raise said

    def _done(self, key: tuple[Issuer, str], caller: str) -> None:
        self._asked.pop(key, None)
        self._begun[caller] -= 1
        if not self._begun[caller]:
            del self._begun[caller]

    def _check_room(self, caller: str) -> None:
        if self._begun[caller] >= MOST_OF_ONE:
            raise too_many(f"{MOST_OF_ONE} unknown tokens of this caller are asked about just now")
        if len(self._asked) >= MOST_AT_ONCE:
            raise Unavailable(f"{MOST_AT_ONCE} questions are under way")

    async def _answer(
        self, token: str, issuer: Issuer, caller: str
    ) -> ActiveToken | TokenInvalid | Unavailable:
        try:
            answer = await self._post(token, issuer, caller)
            return read_introspection(answer.body, issuer, self._now())
        except TokenInvalid as invalid:
            return invalid
        except Unavailable as unavailable:
            problem = unavailable.detail
        except CredentialRefused as refused:
            problem = f"we cannot prove ourselves: {refused.detail}"
        except IntrospectionInvalid as invalid:
            problem = str(invalid)
        self._tells.user_keys(issuer.issuer, problem, 0)
        return Unavailable(problem)

    async def _post(self, token: str, issuer: Issuer, caller: str) -> Fetched:
        """The answer with status 200. Raises Unavailable and CredentialRefused."""
        introspection = issuer.introspection
        if introspection is None:
            raise Unavailable(f"the entry of {issuer.issuer} has no introspection")
        endpoint = await self._endpoint(issuer, introspection)
        server = TokenServer(issuer.issuer, endpoint, introspection.client)
        proof = await self._proofs(server, endpoint, issuer.issuer)
        body = introspection_request(token, proof.params)
        try:
            answer = await self._fetch(
                "POST", endpoint, [*_HEADERS, *proof.headers], body, seconds=ASK_SECONDS, limit=ANSWER_BYTES
            )
        except FetchFailed as failed:
            if not failed.reached or self._another_failed(token, issuer.issuer, caller):
                self._pause(issuer.issuer)
            raise Unavailable(f"{endpoint}: {failed.detail}") from failed
        self._silent.pop(issuer.issuer, None)
        self._unanswered.pop(issuer.issuer, None)
        if answer.status != 200:
            raise Unavailable(f"{endpoint} answered with status {answer.status}")
        return answer

    async def _endpoint(self, issuer: Issuer, introspection: Introspection) -> str:
        if introspection.endpoint is not None:
            return introspection.endpoint
        endpoint = (await self._metadata.metadata(issuer.issuer)).introspection_endpoint
        if endpoint is None:
            raise Unavailable(f"the metadata of {issuer.issuer} name no introspection_endpoint")
        return endpoint

    def _check_pause(self, issuer: str) -> None:
        _, until = self._silent.get(issuer, (0, 0.0))
        if self._now() < until:
            raise Unavailable(f"{issuer} did not answer a moment ago", until - self._now())

    def _check_failed(self, issuer: str, token: str) -> None:
        left = self._failed.get((issuer, _hash(token)), 0.0) - self._now()
        if left > 0:
            raise Unavailable(f"{issuer} gave no answer about this token a moment ago", left)

    def _another_failed(self, token: str, issuer: str, caller: str) -> bool:
        """Leave this token alone; whether another one, of another caller, had no answer before it either.

        One caller may well have found many tokens that a server does not survive.
        """
        this = _Unanswered(_hash(token), caller)
        self._failed.pop((issuer, this.key), None)
        if len(self._failed) >= MOST_FAILED:
            del self._failed[next(iter(self._failed))]
        self._failed[issuer, this.key] = self._now() + FAILED_SECONDS
        before = self._unanswered.setdefault(issuer, this)
        return before.key != this.key and before.caller != this.caller

    def _pause(self, issuer: str) -> None:
        """It doubles with each failure in a row; questions that failed together count as one."""
        failures, until = self._silent.get(issuer, (0, 0.0))
        now = self._now()
        if now >= until:
            pause = min(MOST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10))
            self._silent[issuer] = failures + 1, now + pause


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
