"""What both readers share: the phases of a message, its body, pausing, and that a refusal is final."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from mesh.protocol.http1.chunks import ChunkedBody
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.fields import FIELD_LINES, settle_repeated
from mesh.protocol.http1.heads import CHUNKED, Headers
from mesh.protocol.http1.known_heads import KnownHead, KnownHeads, split_length
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.section import BLANK_LINE, CRLF, Section
from mesh.reasons import Reason

# Phases: what the next byte belongs to. OVER is behind a message that said it was the last.
HEAD, LENGTH, CHUNKS, CLOSE, TUNNEL, OVER = range(6)


class BodySink(Protocol):
    """What every sink has."""

    def on_body(self, data: bytes) -> None:
        """A piece of the body, never empty."""


class MessageReader(ABC):
    """Reads one message after the other; a subclass reads the heads and knows what an end means."""

    __slots__ = (
        "_bodies",
        "_chunks",
        "_known",
        "_left",
        "_limits",
        "_paused",
        "_phase",
        "_refused",
        "_rest",
        "_section",
        "body_limit",
    )
    _chunks: ChunkedBody  # only in the phase CHUNKS
    _skips_empty_line = False

    def __init__(self, sink: BodySink, limits: HttpLimits, section: Section, known: KnownHeads) -> None:
        self._bodies = sink
        self._known = known
        self._limits = limits
        self._section = section
        self._phase = HEAD
        self._left = 0
        self._refused: HttpRefused | None = None
        self._paused = False
        self._rest = b""
        self.body_limit = limits.body_bytes
        """Most body bytes of the message being read, 0 for any number. Set anew from the limits for each
        message; a sink may change it while it is given the head."""

    def feed(self, data: bytes) -> None:
        """Read what arrived; everything it completes is with the sink when this returns.

        Raises HttpRefused for what may not pass; what the sink was given before stands. From then on every
        call raises it again. A HttpRefused that the sink itself raises counts the same.
        """
        if self._refused is not None:
            raise self._refused
        position, size = 0, len(data)
        try:
            while position < size:
                if self._phase == HEAD and not self._paused:
                    position = self._head(data, position)
                else:
                    position = self._inside(data, position)
        except HttpRefused as refused:
            self._refuse(refused)
            raise

    def pause(self) -> None:
        """Hand over no further message: what follows the present one is held until `resume`.

        A sink that answers one request at a time calls this in on_request, so that a peer that sends a
        hundred at once does not occupy it with all of them. Stop the transport too: what is fed is kept.
        """
        self._paused = True

    def resume(self) -> None:
        """Go on after `pause`, also from inside a callback. Raises what `feed` raises."""
        self._paused = False
        if self._rest and self._phase == HEAD:
            self.feed(self.unread())

    def unread(self) -> bytes:
        """Take the bytes that were fed but belong to no message: those behind CONNECT, or since `pause`."""
        rest, self._rest = self._rest, b""
        return rest

    @property
    def held(self) -> int:
        """How many bytes are kept for later: those behind CONNECT, or since `pause`."""
        return len(self._rest)

    @abstractmethod
    def _start(self, line: bytes) -> None:
        """Read the start line."""

    @abstractmethod
    def _fields(
        self,
        headers: Headers,
        known: dict[bytes, bytes],
        key: tuple[bytes, bytes],
        data: bytes,
        position: int,
    ) -> int:
        """Hand over the head and begin its body; the position of the first byte not used.

        `key`: under what to remember the head once it has passed every check.
        """

    @abstractmethod
    def _again(self, known: KnownHead, digits: bytes, data: bytes, position: int) -> int:
        """The same for a head that was read before, with another Content-Length."""

    @abstractmethod
    def _end(self, more: bool) -> None:
        """The message is complete; `more` says that bytes follow it."""

    def _behind_the_last(self, data: bytes, position: int) -> int:
        """Bytes follow the message that was to be the last."""
        raise self._surplus()

    @abstractmethod
    def _surplus(self) -> HttpRefused:
        """Why bytes are refused that follow the last message."""

    def _head(self, data: bytes, position: int) -> int:
        """Read a head, in one piece where it is at hand; the position of the first byte not used.

        What is wrong is looked for in one order however the bytes were cut: see `section`.
        """
        limits = self._limits
        end = -1 if self._section.kept else data.find(BLANK_LINE, position, position + limits.head_bytes)
        if end >= 0:
            section, position = data[position:end], end + 4
        else:
            gathered, position = self._section.take(data, position)
            if gathered is None:
                return position
            section = gathered
        key, digits = split_length(section)
        known_head = self._known.get(key, digits)
        if known_head is not None and len(known_head.headers) < limits.headers:
            self.body_limit = limits.body_bytes
            return self._again(known_head, digits, data, position)
        lines = section.split(CRLF)
        if self._skips_empty_line and not lines[0] and len(lines) > 1:
            del lines[0]
            section = section[len(CRLF) :]
            key, digits = split_length(section)
        try:
            if len(lines) > limits.headers + 1:
                raise HttpRefused(Reason.HTTP_HEAD_TOO_LARGE, "there are more fields than limits.headers")
            self._start(lines.pop(0))
            headers = list(map(FIELD_LINES.__getitem__, lines))
        except HttpRefused:
            self._section.refuse_impossible(section + BLANK_LINE)
            raise
        known = dict(headers)
        if len(known) != len(headers):
            settle_repeated(headers, known)
        self.body_limit = limits.body_bytes
        return self._fields(headers, known, (key, digits), data, position)

    def _refuse(self, refused: HttpRefused) -> None:
        self._refused = refused

    def _body(self, length: int, data: bytes, position: int) -> int:
        """Begin a body behind a head; the whole of it where it is at hand, as it is for most messages."""
        if length == 0:
            self._end(position < len(data))
        elif length > 0:
            if 0 < self.body_limit < length:
                raise HttpRefused(Reason.HTTP_BODY_TOO_LARGE, "Content-Length exceeds limits.bodyBytes")
            end = position + length
            if end <= len(data):
                self._bodies.on_body(data[position:end])
                self._end(end < len(data))
                return end
            self._left = length
            self._phase = LENGTH
        elif length == CHUNKED:
            self._chunks = ChunkedBody(self._bodies.on_body, self._limits, self.body_limit)
            self._phase = CHUNKS
        else:
            self._left = 0
            self._phase = CLOSE
        return position

    def _inside(self, data: bytes, position: int) -> int:
        """Read on in a body, or keep what is nobody's turn to read."""
        phase = self._phase
        if phase == LENGTH:
            return self._length(data, position)
        if phase == CHUNKS:
            after = self._chunks.feed(data, position)
            if after < 0:
                return len(data)
            self._phase = HEAD
            self._end(after < len(data))
            return after
        if phase == CLOSE:
            self._until_close(data[position:])
        elif phase == OVER:
            return self._behind_the_last(data, position)
        else:
            self._keep(data[position:])
        return len(data)

    def _length(self, data: bytes, position: int) -> int:
        end = position + self._left
        if end > len(data):
            self._left = end - len(data)
            self._bodies.on_body(data[position:])
            return len(data)
        self._left = 0
        self._phase = HEAD
        self._bodies.on_body(data[position:end])
        self._end(end < len(data))
        return end

    def _until_close(self, data: bytes) -> None:
        room = self.body_limit - self._left
        self._left += len(data)
        if 0 < self.body_limit < self._left:
            if room > 0:
                self._bodies.on_body(data[:room])
            raise HttpRefused(Reason.HTTP_BODY_TOO_LARGE, "the body exceeds limits.bodyBytes")
        self._bodies.on_body(data)

    def _keep(self, data: bytes) -> None:
        self._rest += data
        if self._phase == TUNNEL and len(self._rest) > self._limits.head_bytes:
            raise HttpRefused(Reason.HTTP_MALFORMED, "too much was sent before the tunnel was open")
