"""Server-sent events: bytes in, events out, and the same events out again with other data.

The reader follows the WHATWG algorithm (HTML, section 9.2) with two differences that a filter needs: text
that is not UTF-8 is refused instead of replaced, and an event keeps the very bytes it came in, so that what
nothing changed leaves as it came. Comments, ids and retry times are kept; clients resume by them.

When is an event complete? At its blank line, whose end may be CR, LF or CRLF. A CR at the end of what has
arrived may be the first half of a CRLF. Waiting for the next byte would hold every event of a CR stream until
the following one, so the event is delivered at the CR, and an LF that follows belongs to it and is swallowed.
If the line before ended in CRLF, so does the blank one, and the event's bytes are completed with that LF
beforehand.

Comments that stand before an event are delivered line by line, without waiting for its blank line: servers
keep idle streams alive with a comment line alone (MCP 2026-07-28, Streamable HTTP), and it must reach the
client.

Some clients end lines where str.splitlines does, at U+2028 or a form feed for example, so that a comment or a
JSON string could hold what they take for another event. Events with such characters are never passed on as
they came: they are written anew, with the characters escaped in JSON and blanked elsewhere.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from mesh.reasons import Reason

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one event, its blank line included, unless the caller says otherwise."""

_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
# Whole lines that say nothing: empty ones and comments. A CR at the end may yet become a CRLF.
_IDLE_LINES = re.compile(rb"(?:(?::[^\r\n]*+)?(?>\r\n|\n|\r(?!\Z)))++")
_LINE_END = re.compile("\r\n|\n|\r")
# What str.splitlines, and clients built on it, take for line ends besides CR and LF.
_FALSE_LINE_END = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One event, or comments that stand alone.

    `data` is None when there is no data field (nothing is dispatched then), and joins several by LF
    otherwise. `event`, `id` and `retry` are the last valid values given, verbatim. `comments` are without
    colon and the space after it. `raw` is the event as received up to the end of its blank line, without a
    byte order mark; it is empty where these bytes must not be passed on because they hold what some clients
    take for line ends.
    """

    data: str | None
    event: str | None
    id: str | None
    retry: str | None
    comments: tuple[str, ...]
    raw: bytes


class SseRefused(Exception):
    """The server's stream cannot be read, or one event is too large. The reader is of no use afterwards."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class SseReader:
    """Cuts a stream into events, however it is split into chunks. Time is linear in the length of the stream."""

    __slots__ = ("_at_start", "_max_event_bytes", "_rest", "_searched", "_swallow_lf")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = bytearray()
        # How far _rest is known to hold no blank line; keeps the search linear when an event trickles in.
        self._searched = 0
        self._at_start = True
        self._swallow_lf = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that `data` completes. Raises SseRefused; events completed before the fault are lost."""
        if self._swallow_lf and data:
            self._swallow_lf = False
            if data[0] == 0x0A:
                data = data[1:]
        if not self._rest:
            return self._split(data)
        rest = self._rest
        rest += data
        # A blank line may have begun in what was searched before: at most CR LF CR of it.
        if _BLANK_LINE.search(rest, max(0, self._searched - 3)) is None:
            self._searched = len(rest)
            self._check_size(len(rest))
            return self._idle_lines() if b"\n" in data or b"\r" in data else []
        whole = bytes(rest)
        rest.clear()
        self._searched = 0
        return self._split(whole)

    def eof(self) -> int:
        """The stream has ended: drop an unterminated event, as WHATWG says, and return its size in bytes."""
        size = len(self._rest)
        self._rest.clear()
        self._searched = 0
        return size

    def _split(self, data: bytes) -> list[SseEvent]:
        """Cut at every blank line. Streams use one kind of line end throughout: LF and CRLF are cut in C."""
        returns = data.count(b"\r")
        if not returns:
            line_end, blank = "\n", b"\n\n"
        elif returns == data.count(b"\n") and returns == data.count(b"\r\n"):
            line_end, blank = "\r\n", b"\r\n\r\n"
        else:
            return self._split_mixed(data)
        *blocks, rest = data.split(blank)
        events = [self._event(block, block + blank, line_end) for block in blocks]
        return events + self._keep(rest) if rest else events

    def _split_mixed(self, data: bytes) -> list[SseEvent]:
        """Cut at every blank line, whichever line ends stand where."""
        events = []
        start = 0
        for blank in _BLANK_LINE.finditer(data):
            end = blank.end()
            raw = data[start:end]
            if end == len(data) and data[-1] == 0x0D:
                self._swallow_lf = True
                if blank.group().startswith(b"\r\n"):
                    raw += b"\n"
            events.append(self._event(data[start : blank.start()], raw, None))
            start = end
        return events + self._keep(data[start:])

    def _keep(self, rest: bytes) -> list[SseEvent]:
        """Hold the beginning of an event until more of it arrives."""
        self._check_size(len(rest))
        self._rest += rest
        self._searched = len(rest)
        return self._idle_lines()

    def _idle_lines(self) -> list[SseEvent]:
        """Deliver the comments and empty lines that stand before an event."""
        size = _idle_size(self._rest)
        if not size:
            return []
        raw = bytes(self._rest[:size])
        del self._rest[:size]
        self._searched = len(self._rest)
        return [self._event(raw.rstrip(b"\r\n"), raw, None)]

    def _check_size(self, size: int) -> None:
        if size > self._max_event_bytes:
            raise SseRefused(Reason.SSE_EVENT_TOO_LARGE, f"an event exceeds {self._max_event_bytes} bytes")

    def _event(self, block: bytes, raw: bytes, line_end: str | None) -> SseEvent:
        """The event of one block of lines; `block` is `raw` without the blank line. None: line ends are mixed."""
        self._check_size(len(raw))
        if self._at_start:
            self._at_start = False
            if block.startswith(_BOM):
                block = block[3:]
                raw = raw[3:]
        try:
            text = block.decode()
        except UnicodeDecodeError as error:
            raise SseRefused(Reason.SSE_MALFORMED, f"byte {error.start} of an event is not UTF-8") from error
        lines = text.split(line_end) if line_end else _LINE_END.split(text)
        # The dot, because splitlines does not count what follows the last line end if it is empty.
        if len((text + ".").splitlines()) != len(lines):
            raw = b""
        return _read_fields(lines, raw)


def _idle_size(lines: bytearray) -> int:
    idle = _IDLE_LINES.match(lines)
    return idle.end() if idle else 0


def _read_fields(lines: list[str], raw: bytes) -> SseEvent:
    """Interpret the lines of one event; fields that WHATWG does not know are ignored."""
    event = id = retry = None
    data: list[str] = []
    comments: list[str] = []
    for line in lines:
        field, _, value = line.partition(":")
        if value.startswith(" "):
            value = value[1:]
        if field == "data":
            data.append(value)
        elif field == "event":
            event = value
        elif field == "id":
            if "\0" not in value:
                id = value
        elif field == "retry":
            if value.isascii() and value.isdigit():
                retry = value
        elif not field and line:
            comments.append(value)
    return SseEvent("\n".join(data) if data else None, event, id, retry, tuple(comments), raw)


def encode_event(event: SseEvent, *, data: str | None) -> bytes:
    """`event` with `data` in place of its own: the bytes it came in if nothing changes, else written anew.

    One event in is one event out: comments, event, id and retry are kept, in this order, before the data.
    """
    if data == event.data and event.raw:
        return event.raw
    lines = [f": {_blanked(comment)}" for comment in event.comments]
    for field, value in (("event", event.event), ("id", event.id), ("retry", event.retry)):
        if value is not None:
            lines.append(f"{field}: {_blanked(value)}")
    if data is not None:
        data = _escaped(data) if data.startswith(("{", "[")) else _blanked(data)
        lines += [f"data: {line}" for line in _LINE_END.split(data)]
    return "\n".join([*lines, "\n"]).encode()


def _escaped(json_text: str) -> str:
    """JSON that reads the same without the false line ends, which can only stand in its strings."""
    return _FALSE_LINE_END.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)


def _blanked(text: str) -> str:
    return _FALSE_LINE_END.sub(" ", text)
