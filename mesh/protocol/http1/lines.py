"""Field lines as they leave, with a memo of what becomes of each line that arrives.

A proxy sends on nearly every field that it received, and peers repeat themselves. So what becomes of a field (its
bytes with CRLF, or nothing for one that ends here) is worked out once and is a dictionary look-up from then on: a
head is written by one `join` over a `map`, all in C.
"""

from __future__ import annotations

from mesh.protocol.http1.fields import may_be_kept
from mesh.protocol.http1.heads import Headers
from mesh.protocol.http1.write import HOP_BY_HOP, NAMES_NOTHING, end_to_end

_KEPT_LINES = 512
_KEPT_LINE_BYTES = 160


class LeavingLines(dict[tuple[bytes, bytes], bytes]):
    """Maps a field to its line with CRLF, or to b"" if it does not travel on; a bounded memo of a pure function.

    Credentials and what is new every time are not kept.
    """

    __slots__ = ("_dropped",)

    def __init__(self, dropped: frozenset[bytes]) -> None:
        """`dropped`: names of fields that are left out, besides the hop-by-hop ones."""
        super().__init__()
        self._dropped = dropped

    def __missing__(self, field: tuple[bytes, bytes]) -> bytes:
        """Raises ValueError for a line break, which no field that a reader gave can hold."""
        name, value = field
        if name in self._dropped or name in HOP_BY_HOP or name.startswith(b"proxy-"):
            line = b""
        else:
            line = b"%b: %b\r\n" % field
            if line.count(b"\n") != 1 or line.count(b"\r") != 1 or b"\0" in line:
                raise ValueError("a field holds a line break or NUL")
        if len(name) + len(value) <= _KEPT_LINE_BYTES and may_be_kept(name):
            if len(self) >= _KEPT_LINES:
                self.clear()
            self[field] = line
        return line

    def encode(self, headers: Headers, connection: bytes | None) -> bytes:
        """The lines of `headers` that travel on. `connection` is the value of their Connection field."""
        if connection is not None and connection not in NAMES_NOTHING:
            headers = end_to_end(headers)
        return b"".join(map(self.__getitem__, headers))
