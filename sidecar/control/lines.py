"""A stream of bytes cut into lines, of which none may be longer than a bound (NDJSON)."""

from __future__ import annotations

from mesh.identity.errors import DocumentInvalid


class Lines:
    """Collects the beginning of a line until its end has come."""

    __slots__ = ("_most", "_parts", "_size")

    def __init__(self, most: int) -> None:
        """`most`: bytes of a line, without its end."""
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends; empty ones say nothing and are left out.

        Raises DocumentInvalid when a line is too long, whether or not its end has come.
        """
        *ends, rest = data.split(b"\n")
        lines = [line for end in ends if (line := self._complete(end)).strip()]
        self._keep(rest)
        return lines

    def _complete(self, end: bytes) -> bytes:
        self._keep(end)
        line = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return line

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._most:
            raise DocumentInvalid(f"a line of more than {self._most} bytes")
        if part:
            self._parts.append(part)
