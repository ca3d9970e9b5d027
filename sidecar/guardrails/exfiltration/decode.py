"""Read what was encoded, where it was text: base64, base32, hex, percent, and gzip within base64.

Whether a text is data is seen by what it decodes to. Random bytes, as hashes and identifiers are, decode to
nothing readable; so none of these gives anything for them.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, unquote_plus

DECODED: Final = 65536
"""Bytes that are read of one encoded text, before and after decompression."""

_HEX = re.compile(r"^(?:[0-9a-fA-F]{2}){4,}$")
_BASE64 = re.compile(r"^[A-Za-z0-9+/_-]{8,}={0,2}$")
_BASE32 = re.compile(r"^(?:[A-Z2-7]{12,}|[a-z2-7]{12,})={0,6}$")
_URL_ALPHABET = str.maketrans("-_", "+/")
_READABLE = re.compile(r"[^\x20-\x7e\t\r\n\u00a0-\ufffd]")


def readable(data: bytes) -> str:
    """As text where it is UTF-8 without control characters, but for a broken end; else empty."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as err:
        if err.start < len(data) - 4 or err.start < 4:
            return ""
        text = data[: err.start].decode("utf-8")
    return "" if _READABLE.search(text) else text


def inflated(data: bytes) -> bytes:
    """What gzip or zlib holds, up to the cap; as given where it is neither."""
    if data[:2] != b"\x1f\x8b" and data[:1] != b"\x78":
        return data
    try:
        return zlib.decompressobj(wbits=47).decompress(data, DECODED)
    except zlib.error:
        return data


def from_base64(text: str) -> str:
    """Of either alphabet, with or without padding; an incomplete last group is left out."""
    text = text[:DECODED].rstrip("=").translate(_URL_ALPHABET)
    text = text[:-1] if len(text) % 4 == 1 else text
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return readable(inflated(data))


def from_hex(text: str) -> str:
    """An odd last digit is left out."""
    text = text[: min(DECODED, len(text) // 2 * 2)]
    try:
        return readable(bytes.fromhex(text))
    except ValueError:
        return ""


def from_base32(text: str) -> str:
    """Of either case, with or without padding; an incomplete last group is left out."""
    text = text[:DECODED].rstrip("=").upper()
    while len(text) % 8 in (1, 3, 6):
        text = text[:-1]
    try:
        return readable(base64.b32decode(text + "=" * (-len(text) % 8)))
    except (binascii.Error, ValueError):
        return ""


def readings(text: str) -> Iterator[str]:
    """What an encoded text may say; nothing where it says nothing. The text itself is not among it."""
    if "%" in text:
        plain = unquote_plus(text[:DECODED])
        if plain != text and "%" in plain:
            plain = unquote(plain)
        yield plain
        text = plain
    if _HEX.match(text):
        yield from filter(None, (from_hex(text),))
    if _BASE32.match(text):
        yield from filter(None, (from_base32(text),))
    if _BASE64.match(text):
        yield from filter(None, (from_base64(text),))
