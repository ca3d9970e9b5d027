"""Answers that others have to be asked about before the agent has them.

A document or an event waits until the detectors that are asked over HTTP have said what they find. Events keep
their order, and one waits for another no longer than that takes. While more than a few wait, the backend is not
read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from mesh.protocol.http1.heads import RequestHead, ResponseHead
from mesh.protocol.http1.write import LAST_CHUNK, chunk
from mesh.protocol.sse import SseEvent, encode_event
from mesh.reasons import Reason
from sidecar.proxy.answers import AnswerRefused, EventStreamAnswer, JsonAnswer
from sidecar.tasks import spawn

MOST_WAITING = 16
"""Events of one stream that wait before no more is read."""

Screen = Callable[[bytes], Awaitable[bytes | None]]
"""A message as it would go on -> as it goes on; None: without data."""


class Waiting(Protocol):
    """Who gets what is late: the exchange."""

    def late_data(self, data: bytes) -> None:
        """A part of the answer."""

    def late_end(self) -> None:
        """There is no more to come. Told once, after the backend's answer has ended."""

    def late_refused(self, refused: AnswerRefused) -> None:
        """It cannot be passed on."""

    def late_full(self, full: bool) -> None:
        """Whether the backend should be read on."""


class LateAnswer:
    """What the two kinds have in common: a task at a time, and somebody to tell."""

    __slots__ = ("_ended", "_errand", "waiting")

    def __init__(self) -> None:
        self.waiting: Waiting | None = None
        self._errand: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def pending(self) -> bool:
        """Whether something is still to come after `end`."""
        return self._errand is not None

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self.waiting = None
        errand, self._errand = self._errand, None
        if errand is not None:
            errand.cancel()

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        self._errand = errand = spawn(self._run(work), name="ask detectors about an answer")
        errand.add_done_callback(self._failed)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except AnswerRefused as refused:
            self._errand = None
            if self.waiting is not None:
                self.waiting.late_refused(refused)
            return
        self._errand = None
        if self._ended and self.waiting is not None:
            self.waiting.late_end()

    def _failed(self, errand: asyncio.Task[None]) -> None:
        """What nobody foresaw is a refusal; its exception is in the log."""
        if errand.cancelled() or errand.exception() is None or self.waiting is None:
            return
        self._errand = None
        self.waiting.late_refused(AnswerRefused(Reason.GUARD_FAILED, "the sidecar failed, see its log"))


class LateJson(JsonAnswer):
    """One JSON document."""

    __slots__ = ("_screen", "late")

    def __init__(
        self,
        head: ResponseHead,
        transform: Callable[[bytes, int], bytes],
        screen: Screen,
        late: LateAnswer,
        *,
        limit: int,
        closing: bool,
    ) -> None:
        super().__init__(head, transform, limit=limit, closing=closing)
        self._screen = screen
        self.late = late

    def end(self) -> bytes:
        body = self.whole()
        self.late._ended = True
        self.late._start(lambda: self._pass(body))
        return b""

    async def _pass(self, body: bytes) -> None:
        shown = await self._screen(body) if body else body
        if shown is None:
            raise AnswerRefused(Reason.SERVER_REQUEST_REFUSED, "a request in place of an answer")
        if self.late.waiting is not None:
            self.late.waiting.late_data(self.written(shown))


class LateEvents(EventStreamAnswer):
    """Server-sent events."""

    __slots__ = ("_queue", "_screen", "late")

    def __init__(
        self,
        head: ResponseHead,
        request: RequestHead,
        transform: Callable[[SseEvent], str | None],
        screen: Screen,
        late: LateAnswer,
        *,
        event_bytes: int,
        closing: bool,
    ) -> None:
        super().__init__(head, request, transform, event_bytes=event_bytes, closing=closing)
        self._screen = screen
        self._queue: deque[tuple[SseEvent, str | None]] = deque()
        self.late = late

    def body(self, data: bytes) -> bytes:
        for event in self.events(data):
            self._queue.append((event, self._transform(event) if event.data else event.data))
        if self._queue and not self.late.pending:
            self.late._start(self._pass)
        elif len(self._queue) > MOST_WAITING and self.late.waiting is not None:
            self.late.waiting.late_full(True)
        return b""

    async def _pass(self) -> None:
        while self._queue:
            event, shown = self._queue.popleft()
            if shown:
                screened = await self._screen(shown.encode())
                shown = None if screened is None else screened.decode()
            waiting = self.late.waiting
            if waiting is None:
                return
            out = encode_event(event, data=shown)
            waiting.late_data(chunk(out) if self._chunks else out)
            if len(self._queue) == MOST_WAITING // 2:
                waiting.late_full(False)
        if self.late._ended and self.late.waiting is not None:
            self.late.waiting.late_data(self._last())

    def end(self) -> bytes:
        self.late._ended = True
        return b"" if self.late.pending else self._last()

    def _last(self) -> bytes:
        return LAST_CHUNK if self._chunks else b""
