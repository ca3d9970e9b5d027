"""Judging ServiceAccount tokens by asking the API server (TokenReview, authentication.k8s.io/v1).

It alone knows whether the pod that a token is bound to still exists. What it said is remembered for a few seconds,
by a digest of the token, and whoever asks meanwhile waits for the question that is under way; only so many are at
once. So when every sidecar of a cluster comes at once, the API server still has time for others. A token is never
logged, and no answer outlives its `exp`.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from mesh.identity.errors import JwtInvalid
from mesh.identity.issuance import Refusal
from mesh.identity.jws import MAX_TOKEN_BYTES, read_jws
from webhook.cluster.client import ApiClient, Collection, Document, decode
from webhook.cluster.failures import ApiFailed, Troubles
from webhook.identity.token_reviewer import Caller, TokenRefused

REVIEWS: Final = Collection("/apis/authentication.k8s.io/v1", "tokenreviews")
REMEMBERED_SECONDS: Final = 10.0
MOST_REMEMBERED: Final = 10_000
MOST_AT_ONCE: Final = 16
RETRY_SECONDS: Final = 2
_ACCOUNT = "system:serviceaccount:"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_SUBJECT = "token_reviews"


class _User(msgspec.Struct):
    username: str = ""
    extra: dict[str, list[str]] | None = None


class _Status(msgspec.Struct):
    authenticated: bool = False
    user: _User = msgspec.field(default_factory=_User)
    audiences: list[str] | None = None
    error: str = ""


class _Review(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


@dataclass(slots=True)
class TokenReviews:
    """Asks the API server. Accepts tokens for `audience` that are bound to a pod.

    `clock` gives the time of day, aware; `ticks` seconds that only grow.
    """

    client: ApiClient
    audience: str
    troubles: Troubles
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ticks: Callable[[], float] = time.monotonic
    _known: OrderedDict[bytes, tuple[float, Caller]] = field(default_factory=OrderedDict)
    _asking: dict[bytes, asyncio.Task[Caller]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))

    async def review(self, token: str) -> Caller:
        """See TokenReviewer."""
        expires = self._expiry(token)
        name = hashlib.sha256(token.encode("ascii", "replace")).digest()
        known = self._remembered(name)
        if known is not None:
            return known
        asking = self._asking.get(name)
        if asking is None:
            asking = asyncio.get_running_loop().create_task(self._ask(token, expires), name="token review")
            self._asking[name] = asking
            asking.add_done_callback(lambda done: self._asked(name, done))
        # Shielded: whoever gives up must not take the answer from those who wait for the same.
        return await asyncio.shield(asking)

    def _expiry(self, token: str) -> datetime:
        """`exp` of the token, which nothing proves yet; a token without one is none of ours."""
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise TokenRefused(Refusal.TOKEN_REFUSED, "it is no ServiceAccount token")
        try:
            expiry = read_jws(token).claims.get("exp")
        except JwtInvalid as invalid:
            raise TokenRefused(
                Refusal.TOKEN_REFUSED, f"it is no ServiceAccount token: {invalid}"
            ) from invalid
        if not isinstance(expiry, int | float) or isinstance(expiry, bool) or not 0 <= expiry < 2**33:
            raise TokenRefused(Refusal.TOKEN_REFUSED, "it is no ServiceAccount token: exp is no date")
        moment = datetime.fromtimestamp(expiry, UTC)
        if self.clock() >= moment:
            ago = (self.clock() - moment).total_seconds()
            raise TokenRefused(Refusal.TOKEN_EXPIRED, f"it expired {ago:.0f} s ago")
        return moment

    def _remembered(self, name: bytes) -> Caller | None:
        until, caller = self._known.get(name, (0.0, None))
        return caller if self.ticks() < until else None

    def _asked(self, name: bytes, done: asyncio.Task[Caller]) -> None:
        self._asking.pop(name, None)
        if done.cancelled() or done.exception() is not None:
            return
        left = (done.result().expires - self.clock()) / timedelta(seconds=1)
        self._known[name] = (self.ticks() + min(REMEMBERED_SECONDS, left), done.result())
        self._known.move_to_end(name)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    async def _ask(self, token: str, expires: datetime) -> Caller:
        spec = {"token": token, "audiences": [self.audience]}
        document: Document = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            async with self._slots:
                answer = await self.client.create(REVIEWS, document)
            status = decode(answer, _Review).status
        except ApiFailed as failed:
            self.troubles.failed(_SUBJECT, failed)
            retry = max(RETRY_SECONDS, round(failed.retry_after))
            detail = f"the API server does not review tokens now ({failed.failure})"
            raise TokenRefused(Refusal.UNAVAILABLE, detail, retry) from failed
        self.troubles.well(_SUBJECT)
        return self._judged(status, expires)

    def _judged(self, status: _Status, expires: datetime) -> Caller:
        if not status.authenticated:
            raise TokenRefused(
                Refusal.TOKEN_REFUSED, f"the API server refuses it: {status.error or 'no reason'}"
            )
        if self.audience not in (status.audiences or ()):
            raise TokenRefused(Refusal.TOKEN_REFUSED, f"it is not for the audience {self.audience!r}")
        namespace, separator, account = status.user.username.removeprefix(_ACCOUNT).partition(":")
        if not status.user.username.startswith(_ACCOUNT) or not separator or not namespace or not account:
            raise TokenRefused(Refusal.TOKEN_REFUSED, "it is no ServiceAccount's")
        pod, uid = (_single(status.user.extra, name) for name in (_POD_NAME, _POD_UID))
        if not pod or not uid:
            raise TokenRefused(Refusal.TOKEN_REFUSED, "it is not bound to a pod; a projected one is needed")
        return Caller(namespace, account, expires, pod, uid)


def _single(extra: dict[str, list[str]] | None, name: str) -> str:
    values = (extra or {}).get(name, [])
    return values[0] if len(values) == 1 else ""
