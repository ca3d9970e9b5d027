"""How a piece of text looks inside something that was encoded with base64 as a whole (RFC 4648).

Three bytes become four characters, so that it has three looks, by where it begins. Of each only the characters
count that its own bits alone decide; the ones at either end depend on the neighbours.
"""

from __future__ import annotations

import base64

_URL = bytes.maketrans(b"+/", b"-_")


def looks(data: bytes) -> tuple[bytes, bytes, bytes]:
    """What of `data` stays the same in base64 when 0, 1 or 2 bytes (modulo 3) stand before it."""
    first, second, third = (_look(data, before) for before in range(3))
    return first, second, third


def _look(data: bytes, before: int) -> bytes:
    encoded = base64.b64encode(b"\0" * before + data)
    return encoded[lost(before) : (before + len(data)) * 8 // 6]


def lost(before: int) -> int:
    """Characters at the beginning that bytes before the piece decide, too."""
    return (before * 8 + 5) // 6


def url_alphabet(encoded: bytes) -> bytes:
    """The same in the alphabet for URLs."""
    return encoded.translate(_URL)
