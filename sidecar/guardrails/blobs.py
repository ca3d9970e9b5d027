"""What is read of base64 that holds anything but text: pictures, sound, archives.

What words stand in such data, as comments of pictures do, or are put there to be found by nobody, are runs of
characters between bytes that are none.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterator
from typing import Any, Final

import re2

BINARY_HEAD: Final = 512
"""Characters of an image that are looked at as they are."""
_TEXT_BYTES: Final = bytes([9, 10, 13, *range(32, 127)])
SHORTEST_RUN: Final = 12
"""Characters; random bytes hold as many in a row ten times in a megabyte."""
_ASCII: Final = bytes(byte if byte in _TEXT_BYTES or not byte else 1 for byte in range(256))
_CHARACTER: Final = r"[\t\n\r -~]"
_RUNS: Final = re2.compile(
    rf"{_CHARACTER}{{{SHORTEST_RUN},}}"
    rf"|(?:{_CHARACTER}\x00){{{SHORTEST_RUN},}}|(?:\x00{_CHARACTER}){{{SHORTEST_RUN},}}"
)
"""In ASCII, and in UTF-16 of either order; asked about what `_ASCII` makes of bytes."""
MOST_RUNS: Final = 4096
"""That are told apart; what comes after as many is read as one."""
_TEXTUAL: Final = re.compile(r"\s*(?:text/|[^;]*(?:json|xml|yaml|javascript|csv|html))", re.IGNORECASE)


def binary_text(text: str, media_type: Any = None) -> str:
    """What is read in place of base64: itself where it holds text, which decoding it shows, or is no base64; else
    its first characters, and all runs of characters in what it holds. What `media_type` calls a text is read as
    one, whatever else it holds."""
    decoded = _binary(text)
    if decoded is None:
        return text
    if type(media_type) is str and _TEXTUAL.match(media_type):
        return decoded.decode("utf-8", "replace")
    return "\n".join([text[:BINARY_HEAD], *_runs(decoded.translate(_ASCII))])


def _runs(data: bytes) -> Iterator[str]:
    """Runs of characters in what `_ASCII` made; after many, the rest in one."""
    for number, found in enumerate(_RUNS.finditer(data), 1):
        yield _plain(found[0])
        if number == MOST_RUNS:
            yield _plain(data[found.end() :])
            return


def _plain(data: bytes) -> str:
    return data.translate(None, b"\0\1").decode("ascii")


def is_binary(text: str) -> bool:
    """Whether it is base64 that holds anything but text.

    What calls itself an image and is none (not base64, or mostly printable) is read as what it may be.
    """
    return _binary(text) is not None


def _binary(text: str) -> bytes | None:
    """What it holds, if that is no text."""
    try:
        decoded = a2b_base64(text, strict_mode=True)
    except (Base64Error, ValueError):
        return None
    printable = len(decoded) - len(decoded.translate(None, _TEXT_BYTES))
    return None if printable * 5 >= len(decoded) * 3 or _is_utf8(decoded) else decoded


def _is_utf8(decoded: bytes) -> bool:
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
