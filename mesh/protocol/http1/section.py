"""Gathering a section that ends in a blank line (a head, or trailers) from pieces of any size.

The answer never depends on how the bytes were cut: what is wrong with a section is looked for in the same
order whether it arrives at once or byte by byte, and what can no longer become a section is refused as soon
as that is certain rather than when a time limit strikes.
"""

from __future__ import annotations

import re

from mesh.protocol.http1.errors import HttpRefused
from mesh.reasons import Reason

CRLF = b"\r\n"
BLANK_LINE = b"\r\n\r\n"
_BARE = rb"|\r[^\n]|(?<!\r)\n"
# One empty line may stand before a request.
REQUEST_OPENING = re.compile(rb"\A[^A-Z\r]|\A\r\n[^A-Z]" + _BARE)
RESPONSE_OPENING = re.compile(rb"\A[^H]" + _BARE)
TRAILER_OPENING = re.compile(rb"\A[^\r]" + _BARE)


class Section:
    """One section in the making; `take` hands it over when it is complete and is then ready for the next."""

    __slots__ = ("_impossible", "_limit", "kept")

    def __init__(self, impossible: re.Pattern[bytes], limit: int) -> None:
        """`impossible` finds what no section of this kind holds; `limit` counts the blank line too."""
        self._impossible = impossible
        self._limit = limit
        self.kept = bytearray()
        """The part of a section that is held."""

    def take(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        """The section without its blank line, or None, and the position in `data` after what was used.

        Raises HttpRefused(HTTP_MALFORMED or HTTP_HEAD_TOO_LARGE).
        """
        kept, before = self.kept, len(self.kept)
        kept += data[position : position + self._limit - before]
        end = kept.find(BLANK_LINE, max(before - 3, 0))
        if end < 0:
            self.refuse_impossible(kept, max(before - 2, 0))
            if len(kept) >= self._limit:
                raise HttpRefused(Reason.HTTP_HEAD_TOO_LARGE, "the head exceeds limits.headBytes")
            return None, len(data)
        section = bytes(kept[:end])
        after = position + end + len(BLANK_LINE) - before
        self.kept = bytearray()
        return section, after

    def refuse_impossible(self, section: bytes | bytearray, start: int = 0) -> None:
        """Refuse bare CR or LF and a first byte that begins no such section. Raises HttpRefused."""
        found = self._impossible.search(section, start)
        if found is not None:
            opening = "this does not begin like an HTTP message"
            detail = "there is a bare CR or LF" if found.start() else opening
            raise HttpRefused(Reason.HTTP_MALFORMED, detail)
