"""Asking issuers about tokens (RFC 7662), one question for each token however many requests bring it.

Who remembers the answer is `Users`. A server that cannot be reached is left alone for some seconds; one that
answers something else is not, because a caller might have chosen a token that it cannot cope with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

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
from sidecar.credentials.refreshed import FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS, Unavailable
from sidecar.tasks import spawn

ASK_SECONDS = 5.0
ANSWER_BYTES = 64 * 1024
MOST_AT_ONCE = 64
"""Questions under way; made-up tokens must not become a flood at the issuer."""

_HEADERS: Headers = [(b"content-type", MEDIA_TYPE), (b"accept", b"application/json")]


class Proofs(Protocol):
    """sidecar.credentials.client_proof.ClientProof."""

    async def __call__(self, server: TokenServer, endpoint: str, issuer: str | None) -> Proof:
        """Raises CredentialRefused."""
        ...


class Introspector:
    """Asks. `proofs`: how we prove ourselves to the issuer; `now`: seconds since 1970."""

    def __init__(
        self, fetch: Fetcher, metadata: Metadata, proofs: Proofs, now: Callable[[], float], tells: Tells
    ) -> None:
        self._fetch = fetch
        self._metadata = metadata
        self._proofs = proofs
        self._now = now
        self._tells = tells
        self._asked: dict[tuple[Issuer, str], asyncio.Task[ActiveToken | TokenInvalid | Unavailable]] = {}
        self._silent: dict[str, tuple[int, float]] = {}

    async def ask(self, token: str, issuer: Issuer) -> ActiveToken:
        """What `issuer`, whose entry has `introspection`, says of a token. Raises TokenInvalid and Unavailable."""
        key = issuer, token
        asked = self._asked.get(key)
        if asked is None:
            self._check_pause(issuer.issuer)
            if len(self._asked) >= MOST_AT_ONCE:
                raise Unavailable(f"{MOST_AT_ONCE} questions are under way")
            asked = self._asked[key] = spawn(self._answer(token, issuer), name="introspect a token")
            asked.add_done_callback(lambda done: self._asked.pop(key, None))
        # Whoever waits may leave; the others wait on.
        said = await asyncio.shield(asked)
        if isinstance(said, ActiveToken):
            return said
        raise said

    async def _answer(self, token: str, issuer: Issuer) -> ActiveToken | TokenInvalid | Unavailable:
        try:
            answer = await self._post(token, issuer)
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

    async def _post(self, token: str, issuer: Issuer) -> Fetched:
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
            self._pause(issuer.issuer)
            raise Unavailable(f"{endpoint}: {failed.detail}") from failed
        self._silent.pop(issuer.issuer, None)
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

    def _pause(self, issuer: str) -> None:
        """It doubles with each failure in a row; questions that failed together count as one."""
        failures, until = self._silent.get(issuer, (0, 0.0))
        now = self._now()
        if now >= until:
            pause = min(MOST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10))
            self._silent[issuer] = failures + 1, now + pause
