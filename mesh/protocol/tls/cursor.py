"""Reading the presentation language of TLS (RFC 8446, section 3): numbers and vectors, front to back.

Every length is held against the bytes that are there and against the bounds that the RFC gives for it; what does
not fit exactly is refused. Lenient readers differ in what they make of it, and we decide for a server that reads
after us.
"""

from __future__ import annotations

from mesh.reasons import Reason


class NotClientHello(Exception):
    """What a client sent first is no ClientHello that can be read in one way; that client is at fault.

    `reason` is NOT_TLS, CLIENT_HELLO_MALFORMED or SERVER_NAME_INVALID; `detail` says in a few words what was
    wrong, without the bytes themselves.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def malformed(detail: str) -> NotClientHello:
    """The exception for a message that breaks the grammar."""
    return NotClientHello(Reason.CLIENT_HELLO_MALFORMED, detail)


class Cursor:
    """Walks over `data`; `name` is what the sentences call it. All methods raise NotClientHello."""

    __slots__ = ("_at", "_data", "_name")

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0

    @property
    def at_end(self) -> bool:
        """Whether all is read."""
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise malformed(f"{self._name} is shorter than its lengths say")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, width: int) -> int:
        """A big-endian number of `width` bytes."""
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int, least: int, most: int) -> bytes:
        """What follows a length of `width` bytes; `least` and `most` bound that length."""
        length = self.number(width)
        if not least <= length <= most:
            raise malformed(f"{self._name} holds a vector of {length} bytes, allowed are {least} to {most}")
        return self.take(length)

    def end(self) -> None:
        """Nothing may be left."""
        if not self.at_end:
            raise malformed(f"{self._name} is longer than its contents")
