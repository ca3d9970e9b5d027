"""What the agent's answer to a user says of the conversation: ids that it has only just made up.

A conversation or a task of A2A gets its id from the agent (message/send without a contextId), and what the agent
sends for it afterwards names that id. So answers are listened to as they pass: a document, or the events of a
stream, as far as the first 64 KiB. Nothing waits for it, and what is learnt is learnt before the client has it.
"""

from __future__ import annotations

from collections.abc import Callable

from mesh.protocol.http1.heads import ResponseHead
from mesh.protocol.signs import signs_of_raw
from mesh.protocol.sse import SseReader, SseRefused
from sidecar.proxy.answers import Answer, WrappedAnswer

MOST_BYTES = 64 * 1024
"""Of an answer that are listened to; a longer document says nothing."""

_JSON = (b"application/json", b"application/a2a+json")
_EVENTS = b"text/event-stream"

Learn = Callable[[tuple[str, ...]], None]
"""Told ids of conversations and tasks."""


def overheard(answer: Answer, head: ResponseHead, learn: Learn) -> Answer:
    """The answer, listened to where it may be JSON-RPC that can be read."""
    media = head.fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if b"content-encoding" in head.fields or not (media in _JSON or media == _EVENTS):
        return answer
    if head.body_length == 0 or (media != _EVENTS and head.body_length > MOST_BYTES):
        return answer
    return _OverheardAnswer(answer, _Events(learn) if media == _EVENTS else _Document(learn))


class _Document:
    """A whole body; `deaf` once there is more of it than is kept."""

    __slots__ = ("_learn", "_parts", "_size", "deaf")

    def __init__(self, learn: Learn) -> None:
        self._learn = learn
        self._parts: list[bytes] = []
        self._size = 0
        self.deaf = False

    def hear(self, data: bytes) -> None:
        self._size += len(data)
        self._parts.append(data)
        if self._size > MOST_BYTES:
            self.deaf = True
            self._parts.clear()

    def end(self) -> None:
        contexts = signs_of_raw({}, b"".join(self._parts)).contexts
        if contexts:
            self._learn(contexts)


class _Events:
    """The first events of a stream."""

    __slots__ = ("_known", "_learn", "_left", "_reader", "deaf")

    def __init__(self, learn: Learn) -> None:
        self._learn = learn
        self._known: frozenset[str] = frozenset()
        self._left = MOST_BYTES
        self._reader = SseReader(MOST_BYTES)
        self.deaf = False

    def hear(self, data: bytes) -> None:
        heard = data[: self._left]
        self._left -= len(heard)
        try:
            events = self._reader.feed(heard)
        except SseRefused:
            self.deaf = True
            return
        self.deaf = not self._left
        for event in events:
            if event.data:
                self._tell(event.data.encode())

    def _tell(self, data: bytes) -> None:
        """Each is told once: most events of a stream name the same."""
        contexts = signs_of_raw({}, data).contexts
        if not self._known.issuperset(contexts):
            self._known = self._known.union(contexts)
            self._learn(contexts)

    def end(self) -> None: ...


class _OverheardAnswer(WrappedAnswer):
    """Another Answer, unchanged."""

    __slots__ = ("_ear",)

    def __init__(self, answer: Answer, ear: _Document | _Events) -> None:
        super().__init__(answer)
        self._ear = ear

    def body(self, data: bytes) -> bytes:
        if not self._ear.deaf:
            self._ear.hear(data)
        return self.inner.body(data)

    def end(self) -> bytes:
        """Also where a drain ends it early: a part of a document is none, and tells nothing."""
        if not self._ear.deaf:
            self._ear.end()
        return self.inner.end()
