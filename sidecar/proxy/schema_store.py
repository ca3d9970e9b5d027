"""Schemas of tools, kept as JSON: as objects they take ten times the memory, and servers choose how many they
send."""

from __future__ import annotations

import json
from typing import Any, Final

from mesh.protocol.strict_json import encode

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of all schemas and their names."""
MOST_SERVER_BYTES: Final = 512 * 1024
"""Of one server's."""
MOST_SCHEMA_BYTES: Final = 32 * 1024
_ENTRY: Final = 256
"""Bytes that an entry takes beside its schema and its name, about."""

Name = tuple[str, str]
"""A tool, and the member in which it has the schema."""


class SchemaStore:
    """Bounded: for a new one the oldest of its server goes, then those of the server that was first known."""

    __slots__ = ("_known", "_sizes", "_total")

    def __init__(self) -> None:
        self._known: dict[str, dict[Name, bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return sum(map(len, self._known.values()))

    @property
    def size(self) -> int:
        """Bytes that are kept, about."""
        return self._total

    def put(self, server: str, name: Name, schema: dict[str, Any] | None) -> None:
        """Remember it, in place of what was known; None, or one that is too large: forget what was known."""
        encoded = None if schema is None else encode(schema)
        if encoded is not None and encoded == self._known.get(server, {}).get(name):
            return
        self._forget(server, name)
        if encoded is None or len(encoded) > MOST_SCHEMA_BYTES:
            return
        size = _size(name, encoded)
        if size > MOST_SERVER_BYTES:
            return
        own = self._known.setdefault(server, {})
        own[name] = encoded
        self._count(server, size)
        while self._sizes[server] > MOST_SERVER_BYTES:
            self._forget(server, next(iter(own)))
        while self._total > MOST_BYTES:
            oldest = next(iter(self._known))
            self._forget(oldest, next(iter(self._known[oldest])))

    def get(self, server: str, name: Name) -> dict[str, Any] | None:
        """A copy of it, where it is known."""
        own = self._known.get(server)
        encoded = None if own is None else own.get(name)
        if encoded is None:
            return None
        schema: dict[str, Any] = json.loads(encoded)
        return schema

    def _forget(self, server: str, name: Name) -> None:
        own = self._known.get(server)
        encoded = None if own is None else own.pop(name, None)
        if own is None or encoded is None:
            return
        self._count(server, -_size(name, encoded))
        if not own:
            del self._known[server], self._sizes[server]

    def _count(self, server: str, size: int) -> None:
        self._sizes[server] = self._sizes.get(server, 0) + size
        self._total += size


def _size(name: Name, encoded: bytes) -> int:
    # Python keeps a name in up to four bytes for each character.
    return len(encoded) + 4 * len(name[0]) + _ENTRY
