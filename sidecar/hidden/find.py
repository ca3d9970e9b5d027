"""Placeholders of hidden secrets in bytes, however these spell them.

Plain ones are what a well-meaning agent sends: a placeholder has only characters that no encoder changes. So the
others, percent-encoded, as escapes of JSON, or within base64, are what somebody writes who hopes not to be seen.
All of it goes by searches for bytes that ordinary messages do not have; patterns run only where one was found.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from mesh.settings.placeholders import PLACEHOLDER, PLACEHOLDER_LENGTH
from sidecar.hidden.inside_base64 import looks, lost

PREFIX = PLACEHOLDER.encode()
_LOOKS = looks(PREFIX)
_FIRST, _SECOND, _THIRD = _LOOKS
_DIGITS = b"0123456789abcdef"

# The characters of a placeholder by their number, which no encoder writes them as. Not the rest of ASCII: `\u003c`
# for `<`, and `%3A` for `:`, are everywhere.
_CODES = rb"(?:2[dD]|3[0-9]|6[1-9a-fA-F]|7[0-9])"
_ODD_PERCENT = re.compile(rb"%" + _CODES)
_ODD_ESCAPE = re.compile(rb"\\u00" + _CODES)
_UNICODE = re.compile(rb"\\u00([0-9a-fA-F]{2})")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]*")
_STANDARD = bytes.maketrans(b"-_", b"+/")


def _spelled(escape: bytes) -> re.Pattern[bytes]:
    """A placeholder of which any character may be written as `escape` and its number."""

    def one(characters: bytes) -> bytes:
        codes = b"|".join(re.sub(b"[a-f]", _either, b"%02x" % code) for code in characters)
        return b"(?:[" + re.escape(characters) + b"]|" + escape + b"(?:" + codes + b"))"

    prefix = b"".join(one(PREFIX[place : place + 1]) for place in range(len(PREFIX)))
    return re.compile(prefix + one(_DIGITS) + b"{32}")


def _either(letter: re.Match[bytes]) -> bytes:
    return b"[" + letter[0] + letter[0].upper() + b"]"


PLAIN = re.compile(PREFIX + b"[0-9a-f]{32}")
PERCENT = _spelled(b"%")
JSON = _spelled(rb"\\u00")


def plain(spelled: bytes) -> bytes:
    """The placeholder itself, of what PLAIN, PERCENT or JSON matched."""
    if b"%" in spelled:
        return unquote_to_bytes(spelled)
    if b"\\" in spelled:
        return _UNICODE.sub(lambda code: bytes((int(code[1], 16),)), spelled)
    return spelled


def may_hold(data: bytes) -> bool:
    """Whether it is worth looking more closely; hardly ever true where there is no placeholder."""
    return (
        PREFIX in data
        or _oddly(PERCENT, data)
        or _oddly(JSON, data)
        or _FIRST in data
        or _SECOND in data
        or _THIRD in data
    )


def placeholders_in(data: bytes) -> frozenset[bytes]:
    """Every placeholder in `data`, whether it is one that is known or not."""
    if not may_hold(data):
        return frozenset()
    spellings = {PLAIN, narrowest(PERCENT, data), narrowest(JSON, data)}
    found = {plain(match[0]) for spelling in spellings for match in spelling.finditer(data)}
    return frozenset(found.union(_in_base64(data)))


def narrowest(spelling: re.Pattern[bytes], data: bytes) -> re.Pattern[bytes]:
    """PLAIN, which is much faster, where `data` has nothing that PERCENT or JSON would find beside it."""
    return spelling if _oddly(spelling, data) else PLAIN


def _oddly(spelling: re.Pattern[bytes], data: bytes) -> bool:
    if spelling is PERCENT:
        return b"%" in data and _ODD_PERCENT.search(data) is not None
    return spelling is JSON and b"\\u00" in data and _ODD_ESCAPE.search(data) is not None


def _in_base64(data: bytes) -> Iterator[bytes]:
    for before, look in enumerate(_LOOKS):  # of letters and digits alone, the same in both alphabets
        place = data.find(look)
        while place >= 0:
            yield from PLAIN.findall(_decoded(data, place - lost(before), before))
            place = data.find(look, place + 1)


def _decoded(data: bytes, start: int, before: int) -> bytes:
    """What a placeholder's length of base64 holds that begins at `start` with `before` bytes of something else."""
    length = -(-(before + PLACEHOLDER_LENGTH) // 3) * 4
    missing = max(0, -start)
    match = _BASE64.match(data, max(start, 0), start + length)
    text = b"A" * missing + (match[0].translate(_STANDARD) if match else b"")
    text = text[: len(text) - (len(text) % 4 == 1)]
    return base64.b64decode(text + b"=" * (-len(text) % 4))
