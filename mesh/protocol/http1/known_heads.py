"""Heads that were read before, found again by their bytes.

A client repeats its whole head but for Content-Length, a server all but that and Date. So a head that passed every
check is kept, with the Content-Length line cut out, and the next one with the same bytes is not parsed again: a
search, a slice and a look-up in place of a dozen. What is derived from a head (which lines travel on, what
its media type means) is kept with it in `memo`.

The memo is not state: with it or without it, bytes always mean the same. Heads with credentials are not kept,
nor are those whose target has a query, where credentials stand too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mesh.protocol.http1.fields import may_be_kept
from mesh.protocol.http1.heads import Headers

MOST_HEADS = 128
MOST_BYTES = 2048
CONTENT_LENGTH = b"content-length"

_SPELLINGS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_SPELLING_BYTES = len(_SPELLINGS[0])
_MOST_DIGITS = 15


class KnownHead(msgspec.Struct, frozen=True, gc=False):
    """A head without its Content-Length, which stood at index `at` of `headers`.

    `start` is what its start line says, `fields` are the headers by name, `count` is the number of lines.
    """

    start: tuple[Any, ...]
    headers: Headers
    fields: dict[bytes, bytes]
    at: int
    keep_alive: bool
    memo: dict[Any, Any]

    def with_length(self, digits: bytes) -> tuple[Headers, dict[bytes, bytes]]:
        """Headers and fields as they were read, with this Content-Length; the kept ones where there is none."""
        if not digits:
            return self.headers, self.fields
        headers = self.headers.copy()
        headers.insert(self.at, (CONTENT_LENGTH, digits))
        fields = self.fields.copy()
        fields[CONTENT_LENGTH] = digits
        return headers, fields


def split_length(section: bytes) -> tuple[bytes, bytes]:
    """A head without its first Content-Length line, and its digits; all of it and b"" where that is not plain."""
    for spelling in _SPELLINGS:
        start = section.find(spelling)
        if start >= 0:
            break
    else:
        return section, b""
    end = section.find(b"\r\n", start + _SPELLING_BYTES)
    if end < 0:
        end = len(section)
    digits = section[start + _SPELLING_BYTES : end]
    if not digits.isdigit() or len(digits) > _MOST_DIGITS or (digits[0] == 0x30 and len(digits) > 1):
        return section, b""
    return section[:start] + section[end:], digits


class KnownHeads:
    """A bounded memo from the bytes of a head to what it says."""

    __slots__ = ("_plain", "_with_length")

    def __init__(self) -> None:
        self._with_length: dict[bytes, KnownHead] = {}
        self._plain: dict[bytes, KnownHead] = {}

    def get(self, key: bytes, digits: bytes) -> KnownHead | None:
        """What is known of a head, by the two parts that `split_length` gives."""
        return (self._with_length if digits else self._plain).get(key)

    def keep(
        self,
        key: bytes,
        digits: bytes,
        start: tuple[Any, ...],
        headers: Headers,
        fields: dict[bytes, bytes],
        *,
        keep_alive: bool,
        memo: dict[Any, Any],
    ) -> None:
        """Remember a head that passed every check.

        Not if it is long, holds credentials, or has a Content-Length in a spelling that was not cut out.
        """
        if len(key) > MOST_BYTES or not all(map(may_be_kept, fields)):
            return
        if not digits and CONTENT_LENGTH in fields:
            return
        at = next((i for i, field in enumerate(headers) if field[0] == CONTENT_LENGTH), 0) if digits else 0
        if digits:
            headers = [field for field in headers if field[0] != CONTENT_LENGTH]
            fields = {name: value for name, value in fields.items() if name != CONTENT_LENGTH}
        heads = self._with_length if digits else self._plain
        if len(heads) >= MOST_HEADS:
            heads.clear()
        heads[key] = KnownHead(start, headers, fields, at, keep_alive, memo)


KNOWN_REQUESTS = KnownHeads()
KNOWN_RESPONSES = KnownHeads()
"""Shared by every reader of the process, so that a new connection finds the heads of the last one."""
