"""Texts in which nothing was found, so that what comes again is not read again.

Agents ask for the same things again and again, and servers list the same tools. Detectors are pure: what they did
not find once they do not find the next time. Texts themselves are not kept but their digests, with a key of this
process: who chooses texts cannot look for two with the same one.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from hashlib import blake2b
from typing import Final

MOST: Final = 1024
"""Digests; the one that was added first is forgotten first."""


class CleanTexts:
    """Digests, each with what else it depends on that nothing was found."""

    __slots__ = ("_key", "_known")

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._known: dict[Hashable, None] = {}

    def digest(self, text: str) -> bytes:
        """Of a text, which may hold halves of surrogate pairs."""
        return blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()

    def __contains__(self, seen: Hashable) -> bool:
        return seen in self._known

    def add(self, seen: Hashable) -> None:
        """Nothing was found in it."""
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[seen] = None
