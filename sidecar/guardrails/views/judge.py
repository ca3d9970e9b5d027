"""Whether decoded octets are text that somebody could have hidden, and not an identifier or noise."""

from __future__ import annotations

import re

SHORTEST = 8
"""Characters below which a decoded text says nothing."""
SHORTEST_WORD = 12
"""The same for a text of one word, which most identifiers are."""

_control = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f\x80-\x9f\ufffd]")
_identifier = re.compile(r"[0-9]{1,4}:[A-Za-z]{1,40}:?[0-9A-Za-z_:-]{0,40}")


def readable(octets: bytes, *, whole: bool = False) -> str:
    """The text that octets are, up to where they stop being text; empty if that is too little to matter.

    `whole`: empty too if they stop."""
    if len(octets) < SHORTEST:
        return ""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        if whole:
            return ""
        text = octets[: error.start].decode("utf-8") or _wide(octets)
    if text[1:2] == "\0" or text[:1] == "\0":
        text = _wide(octets)
    control = _control.search(text)
    if control is not None:
        if whole:
            return ""
        text = text[: control.start()]
    # What is left of it must be most of it: chance makes short texts at the start of anything.
    if len(text) < SHORTEST or (len(text.encode("utf-8", "replace")) * 4 < len(octets) and len(text) < 64):
        return ""
    return text if _says_something(text) else ""


def _wide(octets: bytes) -> str:
    """UTF-16, as PowerShell writes commands."""
    if octets[: len(octets) // 2 * 2].count(0) * 3 < len(octets):
        return ""
    order = "utf-16-le" if octets[1:2] == b"\0" or octets[:2] == b"\xff\xfe" else "utf-16-be"
    return octets[: len(octets) // 2 * 2].decode(order, "replace").lstrip("\ufeff")


def _says_something(text: str) -> bool:
    if any(map(text.__contains__, " \n\t")):
        return _mostly_letters(text)
    return len(text) >= SHORTEST_WORD and _identifier.fullmatch(text) is None and _mostly_letters(text)


def _mostly_letters(text: str) -> bool:
    """Letters, digits or space enough. Noise that is printable by chance has fewer; entities have just as many."""
    head = text[:512]
    return 4 * (sum(map(str.isalnum, head)) + head.count(" ")) >= len(head)
