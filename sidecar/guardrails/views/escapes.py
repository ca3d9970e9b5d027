"""Encodings that write one character as a few others: percent, HTML, escapes of programming languages."""

from __future__ import annotations

import re
from html import unescape

from sidecar.guardrails.views.scan import runs
from sidecar.guardrails.views.stretches import stretches
from sidecar.guardrails.views.view import WHOLE, Piece

# Gates and readers. Every reader is linear: nothing in them is repeated within a repetition of unknown length.
PERCENT = r"%[0-9A-Fa-f]{2}|[?&=][A-Za-z]{2,32}\+[A-Za-z]{2,32}\+[A-Za-z]"
HTML = r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31};)"
ESCAPES = (
    r"\\(?:u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]{1,6}\}|[01][0-7]{2})"
    r"|%u[0-9A-Fa-f]{4}|[Uu]\+00[2-7][0-9A-Fa-f]|[A-Za-z]\\[nrt][A-Za-z]"
)
QUOTED = r"(?:=[2-7][0-9A-Fa-f]){2}"

_percent = re.compile(r"(?:%[0-9A-Fa-f]{2})+|(?<=[?&=])[A-Za-z]{2,32}\+[A-Za-z]{2,32}\+[A-Za-z+]+")
_plus = re.compile(r"(?:(?<=[A-Za-z0-9.,!;])|^)\+(?=[A-Za-z0-9]|$)")
_entity = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9A-Fa-f]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)")
_quoted_run = re.compile(r"(?:=[0-9A-Fa-f]{2})+|=\r?\n")
_escape = re.compile(
    r"((?:\\u[0-9A-Fa-f]{4})+)|((?:\\x[0-9A-Fa-f]{2})+)|((?:%u[0-9A-Fa-f]{4})+)"
    r"|\\u\{([0-9A-Fa-f]{1,6})\}|\\U([0-9A-Fa-f]{8})|\\x\{([0-9A-Fa-f]{1,6})\}|\\([0-3][0-7]{2})"
    r"|[Uu]\+([0-9A-Fa-f]{4,6})[ ,;]?|\\([nrtbf0\"'/\\])"
)
_short = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "b": "\b",
    "f": "\f",
    "0": "\0",
    '"': '"',
    "'": "'",
    "/": "/",
    "\\": "\\",
}


def percent(text: str) -> list[Piece]:
    """`%69` and `ignore+this` in queries (RFC 3986; the form encoding of WHATWG URL)."""
    spans = [match.span() for match in runs(PERCENT, _percent, text)]
    pieces = []
    for start, end, inside in stretches(text, spans):
        piece = Piece(text)
        at = start
        for low, high in inside:
            at = _plus_between(piece, at, low)
            if text[low] == "%":
                _bytes_run(piece, low, high, 3, bytes.fromhex(text[low:high].replace("%", "")))
            else:
                piece.put(text[low:high].replace("+", " "), low, high, 1)
            at = high
        _plus_between(piece, at, end)
        pieces.append(piece)
    return pieces


def _plus_between(piece: Piece, low: int, high: int) -> int:
    """Copy text between encoded runs. Next to one, a plus sign between words is a space."""
    text = piece.source[low:high]
    if "+" in text and "%" in piece.source:
        piece.put(_plus.sub(" ", text), low, high, 1)
    else:
        piece.keep(low, high)
    return high


def _bytes_run(piece: Piece, low: int, high: int, width: int, octets: bytes) -> None:
    """Write octets, each from `width` characters, as UTF-8; what is not UTF-8 is read as Latin-1."""
    if octets.isascii():
        text = octets.decode("ascii")
        if "\x1f" in text:
            text = text.replace("\x1f", " ")
        piece.put(text, low, high, width)
        return
    at = 0
    while at < len(octets):
        size = _utf8_size(octets[at])
        try:
            character = octets[at : at + size].decode("utf-8")
        except UnicodeDecodeError:
            size, character = 1, chr(octets[at])
        piece.put(character, low + at * width, low + (at + size) * width)
        at += size


def _utf8_size(octet: int) -> int:
    if octet < 0xC0:
        return 1
    return 2 if octet < 0xE0 else 3 if octet < 0xF0 else 4


def quoted(text: str) -> list[Piece]:
    """Quoted-printable, `=69` (RFC 2045, 6.7)."""
    pieces = []
    for start, end, inside in stretches(text, (match.span() for match in runs(QUOTED, _quoted_run, text))):
        piece = Piece(text)
        at = start
        for low, high in inside:
            piece.keep(at, low)
            run = text[low:high]
            if not run.endswith("\n"):
                _bytes_run(piece, low, high, 3, bytes.fromhex(run.replace("=", "")))
            at = high
        piece.keep(at, end)
        pieces.append(piece)
    return pieces


def html(text: str) -> list[Piece]:
    """Character references (HTML, 13.5), with or without the semicolon where they are numeric."""
    pieces = []
    for start, end, inside in stretches(text, (match.span() for match in runs(HTML, _entity, text))):
        piece = Piece(text)
        at = start
        changed = False
        for low, high in inside:
            piece.keep(at, low)
            reference = text[low:high]
            character = unescape(reference)
            changed = changed or character != reference
            piece.put(character, low, high, 1 if character == reference else WHOLE)
            at = high
        piece.keep(at, end)
        if changed:
            pieces.append(piece)
    return pieces


def escapes(text: str) -> list[Piece]:
    r"""`\u0069`, `\u{69}`, `\U00000069`, `\x69`, `\151`, `%u0069`, `U+0069` and the short ones like `\n`."""
    pieces = []
    matches = {match.start(): match for match in runs(ESCAPES, _escape, text)}
    for start, end, inside in stretches(text, (match.span() for match in matches.values())):
        piece = Piece(text)
        at = start
        for low, high in inside:
            piece.keep(at, low)
            _unescape(piece, matches[low])
            at = high
        piece.keep(at, end)
        pieces.append(piece)
    return pieces


def _unescape(piece: Piece, match: re.Match[str]) -> None:
    low, high = match.span()
    index = match.lastindex or 0
    found = match[index]
    if index in (1, 3):  # units of UTF-16
        _units(piece, low, [int(found[at + 2 : at + 6], 16) for at in range(0, len(found), 6)])
    elif index == 2:
        _bytes_run(piece, low, high, 4, bytes.fromhex(found.replace("\\x", "")))
    elif index == 9:
        piece.put(_short[found], low, high)
    else:
        number = int(found, 8 if index == 7 else 16)
        usable = number < 0xD800 or 0xE000 <= number < 0x110000
        piece.put(chr(number) if usable else "\ufffd", low, high)


def _units(piece: Piece, low: int, units: list[int]) -> None:
    if max(units) < 0x80:
        piece.put("".join(map(chr, units)).replace("\x1f", " "), low, low + 6 * len(units), 6)
        return
    at = 0
    while at < len(units):
        unit, size = units[at], 1
        if 0xD800 <= unit < 0xDC00 and at + 1 < len(units) and 0xDC00 <= units[at + 1] < 0xE000:
            unit, size = 0x10000 + ((unit - 0xD800) << 10) + units[at + 1] - 0xDC00, 2
        elif 0xD800 <= unit < 0xE000:
            unit = 0xFFFD
        piece.put(chr(unit), low + 6 * at, low + 6 * (at + size))
        at += size
