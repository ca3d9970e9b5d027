"""The chunked transfer coding, decoded as it arrives (RFC 9112, section 7.1).

Chunk extensions and trailers are dropped: nothing here understands them, and a trailer that is merged into
the head after it was inspected would be a way around the inspection.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.fields import TOKEN, parse_field
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.section import BLANK_LINE, CRLF, TRAILER_OPENING, Section
from mesh.reasons import Reason

# Eight digits reach 4 GiB and cannot overflow anybody. Extensions stand without the white space that the RFC
# calls bad.
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSION = rb";" + TOKEN + rb"++(?:=(?:" + TOKEN + rb"++|" + _QUOTED + rb"))?+"
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})((?:" + _EXTENSION + rb")++)?\r\n")
# What a size line may begin with, somewhat wider: the whole line is looked at when it is there.
_SIZE_LINE_BEGINNING = re.compile(rb"[0-9A-Fa-f]{1,8}(?:;[\t -~\x80-\xff]*+)?\r?")

# Decide on framing and routing, and so come too late in a trailer (RFC 9110, section 6.5.1).
_NEVER_TRAILERS = frozenset({b"content-length", b"host", b"transfer-encoding"})

_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)


class ChunkedBody:
    """Decodes one chunked body."""

    _trailers: Section  # only once the last chunk was read
    __slots__ = (
        "_extensions",
        "_left",
        "_limits",
        "_line",
        "_most",
        "_on_body",
        "_phase",
        "_total",
        "_trailers",
    )

    def __init__(self, on_body: Callable[[bytes], None], limits: HttpLimits, most: int) -> None:
        """`on_body` is called with each piece of data as it arrives; `most` bytes in all, 0 for any."""
        self._on_body = on_body
        self._limits = limits
        self._most = most
        self._phase = _SIZE
        self._left = 0
        self._total = 0
        self._extensions = 0
        self._line = b""

    def feed(self, data: bytes, position: int) -> int:
        """Decode `data` from `position`; the position after the body, or -1 if it goes on after `data`.

        Raises HttpRefused (HTTP_BAD_CHUNK, HTTP_BODY_TOO_LARGE, HTTP_BAD_HEADER, HTTP_HEAD_TOO_LARGE).
        """
        size = len(data)
        while position < size:
            phase = self._phase
            if phase == _SIZE:
                position = self._size_line(data, position)
            elif phase == _DATA:
                position = self._data(data, position)
            elif phase == _DATA_END:
                position = self._data_end(data, position)
            else:
                return self._trailer_section(data, position)
        return -1

    def _size_line(self, data: bytes, position: int) -> int:
        held = self._line
        match = None if held else _SIZE_LINE.match(data, position)
        if match is None:
            line = held + data[position : position + self._limits.chunk_line_bytes + 1 - len(held)]
            match = _SIZE_LINE.match(line)
            if match is None:
                self._hold(line)
                return len(data)
            self._line = b""
        digits, extension = match.groups()
        if extension is not None:
            self._count_extension(match.end() - match.start())
        left = int(digits, 16)
        used = match.end() - match.start() - len(held)
        if left == 0:
            # The CRLF of this line is read again as the first of the trailer section: then a section without
            # trailers ends in a blank line like any other.
            self._phase = _TRAILERS
            self._trailers = Section(TRAILER_OPENING, self._limits.head_bytes)
            self._trailers.take(b"\r\n", 0)
            return position + used
        self._total += left
        if 0 < self._most < self._total:
            raise HttpRefused(Reason.HTTP_BODY_TOO_LARGE, "the chunks exceed limits.bodyBytes")
        self._left = left
        self._phase = _DATA
        return position + used

    def _hold(self, line: bytes) -> None:
        """Keep the beginning of a size line, unless no size line begins so."""
        if len(line) >= self._limits.chunk_line_bytes or _SIZE_LINE_BEGINNING.fullmatch(line) is None:
            raise HttpRefused(Reason.HTTP_BAD_CHUNK, "a chunk size is malformed or its line too long")
        self._line = line

    def _count_extension(self, line_bytes: int) -> None:
        self._extensions += line_bytes
        if line_bytes > self._limits.chunk_line_bytes or self._extensions > self._limits.head_bytes:
            raise HttpRefused(Reason.HTTP_BAD_CHUNK, "there is too much in chunk extensions")

    def _data(self, data: bytes, position: int) -> int:
        end = position + self._left
        if end > len(data):
            self._left = end - len(data)
            self._on_body(data[position:])
            return len(data)
        self._on_body(data[position:end])
        if data.startswith(b"\r\n", end):
            self._phase = _SIZE
            return end + 2
        self._left = 2
        self._phase = _DATA_END
        return end

    def _data_end(self, data: bytes, position: int) -> int:
        if data[position] != b"\r\n"[2 - self._left]:
            raise HttpRefused(Reason.HTTP_BAD_CHUNK, "a chunk does not end where its size says")
        self._left -= 1
        if not self._left:
            self._phase = _SIZE
        return position + 1

    def _trailer_section(self, data: bytes, position: int) -> int:
        trailers = self._trailers
        section, after = trailers.take(data, position)
        if section is None:
            return -1
        if section:
            trailers.refuse_impossible(section + BLANK_LINE)
            lines = section.split(CRLF)[1:]
            if len(lines) > self._limits.headers:
                raise HttpRefused(Reason.HTTP_HEAD_TOO_LARGE, "there are more trailers than limits.headers")
            for line in lines:
                if parse_field(line)[0] in _NEVER_TRAILERS:
                    raise HttpRefused(
                        Reason.HTTP_BAD_HEADER, "a trailer would change the framing or the host"
                    )
        return after
