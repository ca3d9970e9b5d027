"""One detector: its place in the queue, its breaker, its connection, and what its answer means.

A question has one time limit, from the queue to the last byte. Everything that goes wrong is one exception, so
that there is no way on which an answer nobody understood is taken for a yes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec

from mesh.policy.guardrails import ExternalOptions
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.reasons import Reason
from sidecar.credentials.fetch import Fetched, Fetcher, FetchFailed
from sidecar.guardrails.examination import FAULTS
from sidecar.guardrails.external.breaker import Breaker, Turn
from sidecar.guardrails.external.cache import Cache, Marks
from sidecar.guardrails.external.formats import FORMATS
from sidecar.guardrails.external.question import AnswerUnusable, Asking, Call, Question

MOST_BYTES: Final = 1024 * 1024
"""Of an answer, besides four times the question: some repeat what they were sent, for each verdict."""
MOST_KINDS: Final = 64
"""Different kinds that one detector may find: they become labels of metrics."""
OTHER: Final = "OTHER"
_JSON: Final = ((b"content-type", b"application/json"), (b"accept", b"application/json"))
_encode: Final = msgspec.json.Encoder().encode


class NotAnswered(Exception):
    """There is no answer that can be used: the detector, the network or the policy is at fault.

    `outcome` is late, open (nobody asks just now), unreachable, refused (an HTTP status) or unusable; `detail`
    holds nothing of the texts.
    """

    def __init__(self, outcome: str, detail: str) -> None:
        super().__init__(f"{outcome}: {detail}")
        self.outcome = outcome
        self.detail = detail

    @property
    def reason(self) -> Reason:
        """What is told of the processor."""
        return Reason.GUARD_TIMEOUT if self.outcome == "late" else Reason.GUARD_FAILED


class Address:
    """What all processors that ask one URL share."""

    __slots__ = ("_kinds", "_places", "breaker", "url")

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self.url = url
        self.breaker = Breaker(clock)
        self._places: dict[int, asyncio.Semaphore] = {}
        self._kinds: set[str] = set()

    def places(self, concurrency: int) -> asyncio.Semaphore:
        """The queue of those who want so many questions under way at most."""
        known = self._places.get(concurrency)
        if known is None:
            known = self._places[concurrency] = asyncio.Semaphore(concurrency)
        return known

    @property
    def host(self) -> str:
        """As logs name it."""
        return _split(self.url).netloc.rpartition("@")[2]

    def bounded(self, marks: Marks) -> Marks:
        """The same, with no more different kinds than there may be."""
        kinds = self._kinds
        for one in marks:
            if len(kinds) < MOST_KINDS:
                kinds.add(one.kind)
        return tuple(one if one.kind in kinds else one._replace(kind=OTHER) for one in marks)


class Detector:
    """Asks by one set of options. `changed` is told when a breaker opens (True) or closes."""

    __slots__ = ("_address", "_cache", "_changed", "_fetch", "_format", "_options", "_parameters", "_places")

    def __init__(
        self,
        options: ExternalOptions,
        address: Address,
        fetch: Fetcher,
        cache: Cache,
        changed: Callable[[str, bool], None],
    ) -> None:
        self._options = options
        self._address = address
        self._places = address.places(options.concurrency)
        self._fetch = fetch
        self._cache = cache
        self._changed = changed
        self._format = FORMATS[options.kind]
        parameters = msgspec.json.decode(options.parameters)
        self._parameters: dict[str, Any] = parameters if type(parameters) is dict else {}

    @property
    def host(self) -> str:
        """Whom this asks, as logs name it."""
        return self._address.host

    def calls(self, question: Question) -> list[Call]:
        """What has to be asked; nothing where there is nothing to judge."""
        if not question.texts:
            return []
        return self._format(Asking(question, self._options, self._parameters))

    async def ask(self, call: Call, seconds: float) -> tuple[Marks, bool]:
        """What was found, and whether that was known. Raises NotAnswered."""
        try:
            body = _encode(call.body)
        except FAULTS as fault:
            raise NotAnswered("unusable", f"the question is no JSON ({type(fault).__name__})") from fault
        key = self._key(call, body)
        known = self._cache.get(key)
        if known is not None:
            return known, True
        turn = Turn(self._address.breaker)
        try:
            async with asyncio.timeout(seconds):
                async with self._places:
                    answer = await self._post(turn, call, body, seconds)
        except TimeoutError as late:
            self._silent(turn)
            raise NotAnswered("late", f"no whole answer within {seconds:g} s") from late
        finally:
            turn.abandoned()
        marks = self._address.bounded(_read(call, answer))
        self._cache.put(key, marks, self._options.cache_seconds)
        return marks, False

    def _key(self, call: Call, body: bytes) -> bytes:
        asked = sha256(repr((self._options, call.below)).encode())
        asked.update(b"\x00")
        asked.update(body)
        return asked.digest()

    async def _post(self, turn: Turn, call: Call, body: bytes, seconds: float) -> Fetched:
        if not turn.enter():
            raise NotAnswered("open", "it did not answer before, and is left alone for a while")
        url, limit = url_of(self._options.url, call), MOST_BYTES + 4 * len(body)
        try:
            # Who calls this keeps the time; twice of it never comes.
            answer = await self._fetch(
                "POST", url, (*_JSON, *call.headers), body, seconds=2 * seconds, limit=limit
            )
        except FetchFailed as failed:
            self._silent(turn)
            raise NotAnswered("unreachable", failed.detail) from failed
        if answer.status >= 500:
            self._silent(turn)
        elif turn.answered():
            self._changed(self.host, False)
        return answer

    def _silent(self, turn: Turn) -> None:
        if turn.silent():
            self._changed(self.host, True)


def url_of(url: str, call: Call) -> str:
    """Where a call goes."""
    parts = _split(url)
    path = parts.path
    if call.below:
        path = path.rstrip("/") + call.below
    elif path in ("", "/"):
        path = call.path
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")  # which the call then finds to be no URL


def _read(call: Call, answer: Fetched) -> Marks:
    """Raises NotAnswered."""
    if answer.status != 200:
        raise NotAnswered("refused", f"status {answer.status}")
    try:
        return tuple(call.read(parse(answer.body).value))
    except JsonRefused as refused:
        raise NotAnswered("unusable", f"no JSON that every reader reads alike ({refused.reason})") from None
    except AnswerUnusable as unusable:
        raise NotAnswered("unusable", str(unusable)) from None
    except FAULTS as fault:
        # The answer may be quoted in what it raised.
        raise NotAnswered("unusable", type(fault).__name__) from None
