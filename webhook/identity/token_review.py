"""Judging ServiceAccount tokens by asking the API server (TokenReview, authentication.k8s.io/v1).

It alone knows whether the pod that a token is bound to still exists. What it said is remembered for a few seconds,
by a digest of the token, and whoever asks meanwhile waits for the question that is under way; only so many are at
once. So when every sidecar of a cluster comes at once, the API server still has time for others. A token is never
logged, and no answer outlives its `exp`.

Anybody can make up tokens, each another one. So what a token says of itself is looked at first, a question that
nobody waits for any more is not asked, and only so many wait, of one address and in all.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from mesh.identity.errors import JwtInvalid
from mesh.identity.issuance import Refusal
from mesh.identity.jws import MAX_TOKEN_BYTES, read_jws
from webhook.cluster.client import ApiClient, Collection, Document, decode
from webhook.cluster.failures import ApiFailed, Troubles
from webhook.identity.token_reviewer import Caller, TokenRefused

REVIEWS: Final = Collection("/apis/authentication.k8s.io/v1", "tokenreviews")
REMEMBERED_SECONDS: Final = 10.0
REFUSED_SECONDS: Final = 5.0
"""How long a refusal is remembered."""
MOST_REMEMBERED = 10_000
MOST_AT_ONCE: Final = 16
MOST_WAITING: Final = 1024
"""Tokens whose review is under way or waits."""
MOST_OF_ONE: Final = 64
"""Of those from one address, which may be a node behind which many pods come at once."""
RETRY_SECONDS: Final = 2
_ACCOUNT = "system:serviceaccount:"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_SUBJECT = "token_reviews"
_NO_POD = "it is not bound to a pod; a projected one is needed"

_Answer = TypeVar("_Answer")
_Memory = OrderedDict[bytes, tuple[float, _Answer]]


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


@dataclass(slots=True, eq=False)
class _Question:
    """One token that is asked about for an address, and how many wait for the answer."""

    source: str
    task: asyncio.Task[Caller] | None = None
    waiting: int = 0
    sent: bool = False


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
    _known: _Memory[Caller] = field(default_factory=OrderedDict)
    _refused: _Memory[TokenRefused] = field(default_factory=OrderedDict)
    _asking: dict[bytes, _Question] = field(default_factory=dict)
    _sources: Counter[str] = field(default_factory=Counter)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))

    @property
    def waiting(self) -> int:
        """How many tokens are being asked about."""
        return len(self._asking)

    async def review(self, token: str, source: str = "") -> Caller:
        """See TokenReviewer."""
        expires = self._looked_at(token)
        name = hashlib.sha256(token.encode("ascii")).digest()
        known = self._remembered(self._known, name)
        if known is not None:
            return known
        refused = self._remembered(self._refused, name)
        if refused is not None:
            raise TokenRefused(refused.refusal, refused.detail)
        question = self._asking.get(name) or self._question(name, token, expires, source)
        return await self._answer(name, question)

    def _looked_at(self, token: str) -> datetime:
        """`exp` of a token that could be one of ours, which nothing proves yet."""
        claims = _claims(token)
        expiry, audience = claims.get("exp"), claims.get("aud")
        if not isinstance(expiry, int | float) or isinstance(expiry, bool) or not 0 <= expiry < 2**33:
            raise _refusal("it is no ServiceAccount token: exp is no date")
        moment = datetime.fromtimestamp(expiry, UTC)
        if self.clock() >= moment:
            ago = (self.clock() - moment).total_seconds()
            raise TokenRefused(Refusal.TOKEN_EXPIRED, f"it expired {ago:.0f} s ago")
        if audience != self.audience and not (isinstance(audience, list) and self.audience in audience):
            raise _refusal(f"it is not for the audience {self.audience!r}")
        if not _names_pod(claims):
            raise _refusal(_NO_POD)
        return moment

    def _question(self, name: bytes, token: str, expires: datetime, source: str) -> _Question:
        if len(self._asking) >= MOST_WAITING or self._sources[source] >= MOST_OF_ONE:
            detail = "too many tokens wait to be reviewed"
            raise TokenRefused(Refusal.UNAVAILABLE, detail, RETRY_SECONDS)
        question = self._asking[name] = _Question(source)
        self._sources[source] += 1
        loop = asyncio.get_running_loop()
        question.task = loop.create_task(self._ask(question, token, expires), name="token review")
        question.task.add_done_callback(lambda done: self._asked(name, question, done))
        return question

    async def _answer(self, name: bytes, question: _Question) -> Caller:
        assert question.task is not None  # noqa: S101 - made with its task
        question.waiting += 1
        try:
            # Shielded: whoever gives up must not take the answer from those who wait for the same.
            return await asyncio.shield(question.task)
        finally:
            question.waiting -= 1
            if not question.waiting and not question.sent:
                self._forget(name, question)
                question.task.cancel()

    def _forget(self, name: bytes, question: _Question) -> None:
        """It is over, or is not asked; who asks the same from now on asks anew."""
        if self._asking.get(name) is not question:
            return
        del self._asking[name]
        self._sources[question.source] -= 1
        if not self._sources[question.source]:
            del self._sources[question.source]

    def _remembered(self, memory: _Memory[_Answer], name: bytes) -> _Answer | None:
        until, answer = memory.get(name, (0.0, None))
        return answer if self.ticks() < until else None

    def _remember(self, memory: _Memory[_Answer], name: bytes, seconds: float, answer: _Answer) -> None:
        memory[name] = (self.ticks() + seconds, answer)
        memory.move_to_end(name)
        if len(memory) > MOST_REMEMBERED:
            memory.popitem(last=False)

    def _asked(self, name: bytes, question: _Question, done: asyncio.Task[Caller]) -> None:
        self._forget(name, question)
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            left = (done.result().expires - self.clock()) / timedelta(seconds=1)
            self._remember(self._known, name, min(REMEMBERED_SECONDS, left), done.result())
        elif isinstance(error, TokenRefused) and error.refusal is not Refusal.UNAVAILABLE:
            bare = TokenRefused(error.refusal, error.detail)  # without what it was raised from
            self._remember(self._refused, name, REFUSED_SECONDS, bare)

    async def _ask(self, question: _Question, token: str, expires: datetime) -> Caller:
        spec = {"token": token, "audiences": [self.audience]}
        document: Document = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            async with self._slots:
                question.sent = True
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
            raise _refusal(f"the API server refuses it: {status.error or 'no reason'}")
        if self.audience not in (status.audiences or ()):
            raise _refusal(f"it is not for the audience {self.audience!r}")
        namespace, separator, account = status.user.username.removeprefix(_ACCOUNT).partition(":")
        if not status.user.username.startswith(_ACCOUNT) or not separator or not namespace or not account:
            raise _refusal("it is no ServiceAccount's")
        pod, uid = (_single(status.user.extra, name) for name in (_POD_NAME, _POD_UID))
        if not pod or not uid:
            raise _refusal(_NO_POD)
        return Caller(namespace, account, expires, pod, uid)


def _claims(token: str) -> Mapping[str, Any]:
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise _refusal("it is no ServiceAccount token")
    try:
        return read_jws(token).claims
    except JwtInvalid as invalid:
        raise _refusal(f"it is no ServiceAccount token: {invalid}") from invalid


def _names_pod(claims: Mapping[str, Any]) -> bool:
    """Is there a claim of what pod it is bound to, as every projected token has?"""
    about = claims.get("kubernetes.io")
    pod = about.get("pod") if isinstance(about, dict) else None
    return isinstance(pod, dict) and all(
        pod.get(key) and isinstance(pod[key], str) for key in ("name", "uid")
    )


def _single(extra: dict[str, list[str]] | None, name: str) -> str:
    values = (extra or {}).get(name, [])
    return values[0] if len(values) == 1 else ""


def _refusal(detail: str) -> TokenRefused:
    return TokenRefused(Refusal.TOKEN_REFUSED, detail)
