"""Answers that are not passed on as they come, because something else has to be known first.

A document or an event waits until the detectors that are asked over HTTP have said what they find, and a
notification until it is clear that no value goes on in the next one. Events keep
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
from sidecar.proxy.held import HeldNotifications, Shown
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

    __slots__ = ("_errand", "_timer", "ended", "waiting")

    def __init__(self) -> None:
        self.waiting: Waiting | None = None
        self.ended = False
        """The backend has sent all of it."""
        self._errand: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> bool:
        """Whether something is still to come after `end`."""
        return self._errand is not None

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self.waiting = None
        self.wake(None, self.cancel)
        errand, self._errand = self._errand, None
        if errand is not None:
            errand.cancel()

    def wake(self, when: float | None, work: Callable[[], None]) -> None:
        """Do this at a time of the loop's clock, in place of what was to be done at another; None: nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if when is not None and not self.ended:
            self._timer = asyncio.get_running_loop().call_at(when, work)

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
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
        if self.ended and self.waiting is not None:
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
        reason: Reason = Reason.HTTP_BODY_TOO_LARGE,
    ) -> None:
        super().__init__(head, transform, limit=limit, closing=closing, reason=reason)
        self._screen = screen
        self.late = late

    def end(self) -> bytes:
        body = self.whole()
        self.late.ended = True
        self.late.start(lambda: self._pass(body))
        return b""

    async def _pass(self, body: bytes) -> None:
        shown = await self._screen(body) if body else body
        if shown is None:
            raise AnswerRefused(Reason.SERVER_REQUEST_REFUSED, "a request in place of an answer")
        if self.late.waiting is not None:
            self.late.waiting.late_data(self.written(shown))


class LateEvents(EventStreamAnswer):
    """Server-sent events; `screen` is None where nobody else is asked about them, `held` where none waits for
    another."""

    __slots__ = ("_held", "_queue", "_screen", "late")

    def __init__(
        self,
        head: ResponseHead,
        request: RequestHead,
        transform: Callable[[SseEvent], str | None],
        late: LateAnswer,
        *,
        screen: Screen | None = None,
        held: HeldNotifications | None = None,
        event_bytes: int,
        closing: bool,
    ) -> None:
        super().__init__(head, request, transform, event_bytes=event_bytes, closing=closing)
        self._screen = screen
        self._held = held
        self._queue: deque[Shown] = deque()
        self.late = late

    def body(self, data: bytes) -> bytes:
        for event in self.events(data):
            shown = self._transform(event) if event.data else event.data
            self._queue.extend([(event, shown)] if self._held is None else self._held.feed(event, shown))
        if self._held is not None:
            self.late.wake(self._held.deadline, self._due)
        return self._passed()

    def _passed(self) -> bytes:
        """What may be written now."""
        if self._screen is None:
            out = b"".join([encode_event(event, data=shown) for event, shown in self._queue])
            self._queue.clear()
            return self._framed(out)
        if self._queue and not self.late.pending:
            self.late.start(self._pass)
        elif len(self._queue) > MOST_WAITING and self.late.waiting is not None:
            self.late.waiting.late_full(True)
        return b""

    def _due(self) -> None:
        """Time is up for something that waits."""
        assert self._held is not None  # noqa: S101 - it set the time
        self._queue.extend(self._held.due())
        self.late.wake(self._held.deadline, self._due)
        out = self._passed()
        if out and self.late.waiting is not None:
            self.late.waiting.late_data(out)

    async def _pass(self) -> None:
        assert self._screen is not None  # noqa: S101 - started for it
        while self._queue:
            event, shown = self._queue.popleft()
            if shown:
                screened = await self._screen(shown.encode())
                shown = None if screened is None else screened.decode()
            waiting = self.late.waiting
            if waiting is None:
                return
            waiting.late_data(self._framed(encode_event(event, data=shown)))
            if len(self._queue) == MOST_WAITING // 2:
                waiting.late_full(False)
        if self.late.ended and self.late.waiting is not None:
            self.late.waiting.late_data(self._last())

    def _framed(self, out: bytes) -> bytes:
        return chunk(out) if out and self._chunks else out

    def end(self) -> bytes:
        self.late.ended = True
        if self._held is not None:
            self._queue.extend(self._held.flush())
        out = self._passed()
        return b"" if self.late.pending else out + self._last()

    def _last(self) -> bytes:
        return LAST_CHUNK if self._chunks else b""
