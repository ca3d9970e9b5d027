"""Addresses of mailboxes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.rule import CERTAIN, LIKELY, Kind, Rule

KINDS: Final = {"EMAIL": Kind("E-mail address, also with (at) and (dot).")}

_WIDE: Final = r"\x{80}-\x{10FFFF}"
_LOCAL: Final = rf"[A-Za-z0-9_.+%'&=!#~{_WIDE}-]+"
_DOMAIN: Final = rf"(?:[A-Za-z0-9{_WIDE}-]+\.)+(?:[A-Za-z{_WIDE}][A-Za-z{_WIDE}]+|xn--[A-Za-z0-9-]+)"
_SPELLED: Final = (
    r"\b[\w.+-]{1,64} ?[\[({] ?(?i:at) ?[\])}] ?[\w-]{1,63}"
    r"(?: ?(?:[\[({] ?(?i:dot) ?[\])}]|\.) ?[\w-]{1,63}){1,4}"
)
_LOGIN: Final = re.compile(r"//(?:[^/\s\x1f]{0,64}:)?$")
_FILES: Final = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "ts", "map", "json")
)


def _read(text: str, start: int, end: int) -> Iterable[Hit]:
    while start < end and text[start] in ".'-&=%":
        start += 1
    at = text.index("@", start, end)
    if at == start or text[at - 1] == ".":
        return
    if text[end : end + 1] == ":" and text[end + 1 : end + 2].isalpha() and text[end + 1 : end + 2] != "\x1f":
        return  # git@host:path, as scp writes it
    before = text[max(0, start - 72) : start]
    if "//" in before and _LOGIN.search(before):
        return  # who logs in, in a URL
    if text[end - 5 : end].rpartition(".")[2].lower() in _FILES:
        return  # icon@2x.png
    yield Hit("EMAIL", start, end, CERTAIN, "address")


def _read_spelled(text: str, start: int, end: int) -> Iterable[Hit]:
    yield Hit("EMAIL", start, end, LIKELY, "spelled address")


RULES: Final = (
    Rule("EMAIL", rf"{_LOCAL}@{_DOMAIN}\b", _read),
    Rule("EMAIL", _SPELLED, _read_spelled),
)
