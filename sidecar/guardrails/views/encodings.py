"""Encodings of whole texts: base64, base32, hexadecimal, binary and decimal codes, Morse.

What ASCII text looks like in each is so regular that the gates find hardly anything else: in base64 three of four
characters come from a half of the alphabet or less. Identifiers, digests and images do not look like that.
"""

from __future__ import annotations

import re
from base64 import b32decode
from binascii import Error, a2b_base64
from collections.abc import Callable, Iterator

from sidecar.guardrails.views.judge import readable
from sidecar.guardrails.views.scan import runs
from sidecar.guardrails.views.view import Piece

# Four characters of base64 that are three of ASCII text, and eight that are three of UTF-16 (little end first).
_quad = r"[CDI-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
_wide = r"[A-Za-f][AQgw][AB][A-Za-z0-9+/]A[A-H][AEIMQUYcgkosw048]A"
_core = rf"{_quad}(?:[ \t\r\n]{{0,2}}{_quad}){{3}}"
BASE64 = rf"{_core}|{_quad}{_quad}[A-Za-z0-9+/_-]{{2,4}}={{1,2}}|(?:{_wide}){{2}}|[A-Za-z0-9+/]{{48}}"
# Eight characters of base32 that are five of ASCII text.
_octet = r"[B-P][ABEFIJMNQRUVYZ2-7][A-Z2-7][A-Z2-7][ACEGIKMOQSUWY246][A-Z2-7][A-Z2-7][A-Z2-7]"
BASE32 = (
    rf"{_octet}{_octet}|{_octet}[A-Z2-7]{{2,7}}={{1,6}}|(?:^|[^A-Z0-9])[A-Z2-7]{{24}}|[a-p][a-z2-7]{{31}}"
)
# For the set of all gates: what is more exact costs a set too many states where text is random.
BASE64_RUN = (
    rf"{_quad}{_quad}{_quad}|(?:^|\s){_quad}\s{_quad}\s{_quad}\s|[A-Za-z0-9]={{1,2}}(?:$|[^A-Za-z0-9=])"
    r"|(?:^|[^A-Za-z0-9+/])[A-Za-z0-9+/]{48}"
)
BASE32_RUN = r"(?:^|[^A-Za-z0-9])(?:[A-Z2-7]{16}|[a-z2-7]{32})"
# One character of UTF-8 in hexadecimal, and what may part two octets.
_h, _part = r"[0-9a-fA-F]", r"[ ,:;_\r\n-]{0,2}(?:0x)?"
_more = rf"{_part}[89abAB]{_h}"
_utf8 = rf"(?:[2-7]{_h}|0[9aAdD]|[cdCD]{_h}{_more}|[eE]{_h}{_more}{_more}|[fF][0-4]{_more}{_more}{_more})"
HEX = rf"(?:^|[^0-9a-fA-F])(?:0x)?(?:{_utf8}{_part}){{10}}"
BINARY = r"(?:0[01]{7}[ ,;_\r\n-]{0,2}){6}"
CODES = r"(?:(?:3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-6])[ ,;\r\n-]{1,2}){8}"
OCTAL = r"(?:0?(?:0?[4-7][0-7]|1[0-7]{2})[ ,;\r\n-]{1,2}){8}"
MORSE = r"(?:[.-]{1,6}[ /|]{1,3}){10}"

# After the gate's first characters all of the alphabet counts, and lines that hold nothing else.
_lines = r"(?:\r?\n[ \t]{0,8}[A-Za-z0-9+/_-]{2,128}={0,2}(?![^\r\n\x1f]))*"
_base64 = re.compile(
    rf"(?:{_core}|{_quad}{_quad}(?=[A-Za-z0-9+/_-]{{2,4}}=)|(?:{_wide}){{2}}|(?=[A-Za-z0-9+/]{{48}}))"
    rf"(?:[ \t\r\n]{{0,2}}{_quad})*[A-Za-z0-9+/_-]*{_lines}(?:={{1,2}}|[ ]{{1,2}}[A-Za-z0-9+/_-]{{2,3}}={{1,2}})?"
)
_four = re.compile(r"[A-Za-z0-9+/_-]{4}")
_base32 = re.compile(r"[A-Z2-7]{10,}(?:\r?\n[A-Z2-7]{8,128}(?![A-Za-z0-9]))*={0,6}|[a-z2-7]{32,}={0,6}")
_hex = re.compile(r"(?:(?:0x)?[0-9a-fA-F]{2}[ ,:;_\r\n-]{0,2}){10,}")
_binary = re.compile(r"(?:[01]{8}[ ,;_\r\n-]{0,2}){6,}")
_codes = re.compile(r"(?:[0-9]{2,3}[ ,;\r\n-]{1,2}){8,}[0-9]{2,3}")
_octal = re.compile(r"(?:0?[0-7]{2,3}[ ,;\r\n-]{1,2}){8,}0?[0-7]{2,3}")
_morse = re.compile(r"(?:[.-]{1,6}[ /|]{1,3}){10,}[.-]{0,6}")

_squeeze = str.maketrans("-_", "+/", " \t\r\n=")
_no_hex = re.compile(r"0x|[^0-9a-fA-F]")
_no_binary = re.compile(r"[^01]")
_digits = re.compile(r"[0-9]+")


NEAR = 16
"""As in `scan`: these expressions are slow, and one run seldom follows another at once."""


def base64(text: str) -> Iterator[Piece]:
    """RFC 4648 section 4 and 5, with or without padding, in one line or several."""
    free = 0
    for match in runs(BASE64, _base64, text, NEAR):
        low, high = match.span()
        # What is not ASCII does not look like it; so there may be more before, in whole fours.
        begin = low
        while begin - 4 >= free and _four.match(text, begin - 4, begin):
            begin -= 4
        shown = _from_base64(text[begin:high], whole=True) if begin < low else ""
        if not shown:
            begin, shown = low, _from_base64(match[0])
        if shown:
            piece = Piece(text)
            piece.put(shown, begin, high)
            yield piece
        free = high


def _from_base64(run: str, *, whole: bool = False) -> str:
    if len(run) < 128 and run.isalnum() and (run.islower() or _no_hex.search(run) is None):
        return ""  # a digest, a word
    packed = run.translate(_squeeze)
    packed = packed[: len(packed) - (len(packed) % 4 == 1)]
    try:
        return readable(a2b_base64(packed + "=" * (-len(packed) % 4)), whole=whole)
    except Error:
        return ""


def base32(text: str) -> Iterator[Piece]:
    """RFC 4648 section 6, in capitals or without."""
    return _blobs(text, BASE32, _base32, _from_base32)


def _from_base32(run: str) -> str:
    packed = "".join(run.upper().rstrip("=").split())
    packed = packed[: len(packed) - (1 if len(packed) % 8 in (1, 3, 6) else 0)]
    try:
        return readable(b32decode(packed + "=" * (-len(packed) % 8)))
    except Error:
        return ""


def hexadecimal(text: str) -> Iterator[Piece]:
    """`69676e6f7265`, `69 67 6e`, `69:67:6e`, `0x69, 0x67`."""
    return _blobs(text, HEX, _hex, _from_hex)


def _from_hex(run: str) -> str:
    digits = _no_hex.sub("", run)
    return readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def binary(text: str) -> Iterator[Piece]:
    """`01101001 01100111`."""
    return _blobs(text, BINARY, _binary, _from_binary)


def _from_binary(run: str) -> str:
    digits = _no_binary.sub("", run)
    return _spelled(bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits) - 7, 8)))


def codes(text: str) -> Iterator[Piece]:
    """`105 103 110`: decimal numbers of characters."""
    return _blobs(text, CODES, _codes, lambda run: _numbers(run, 10))


def octal(text: str) -> Iterator[Piece]:
    """`151 147 156`."""
    return _blobs(text, OCTAL, _octal, lambda run: _numbers(run, 8))


def _numbers(run: str, base: int) -> str:
    numbers = [int(digits, base) for digits in _digits.findall(run)]
    return _spelled(bytes(number if number < 256 else 0 for number in numbers))


def _spelled(octets: bytes) -> str:
    """The text, if it is made of letters as only a language is: numbers are often in the range of ASCII."""
    shown = readable(octets)
    head = shown[:512]
    letters = sum(map(str.isalpha, head))
    if 4 * (letters + head.count(" ")) < 3 * len(head):
        return ""
    return shown if 10 * sum(map(head.lower().count, "aeiou")) >= letters or not head.isascii() else ""


_MORSE = """
.- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.--
--.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----. .-.-.- --..-- ..--.. -..-. -....- .--.-.
.----. ---... -.-.-. -.-.-- .-..-.
"""
_LETTERS = dict(
    zip(
        _MORSE.split(),
        "abcdefghijklmnopqrstuvwxyz0123456789.,?/-@':;!\"",
        strict=True,
    )
)


def morse(text: str) -> Iterator[Piece]:
    """International Morse code (ITU-R M.1677-1); words are parted by a slash or by more than one space."""
    return _blobs(text, MORSE, _morse, _from_morse)


_word_ends = re.compile(r"[ ]*[/|]+[ ]*|[ ]{2,}")


def _from_morse(run: str) -> str:
    words = ("".join(_LETTERS.get(sign, "") for sign in word.split()) for word in _word_ends.split(run))
    shown = " ".join(words).strip()
    return shown if len(set(shown)) >= 5 and len(shown) >= 8 else ""


def _blobs(text: str, gate: str, run: re.Pattern[str], decode: Callable[[str], str]) -> Iterator[Piece]:
    """One piece for each run that decodes to something. Where it came from is known for all of it only."""
    for match in runs(gate, run, text, NEAR):
        shown = decode(match[0])
        if shown:
            piece = Piece(text)
            piece.put(shown, match.start(), match.start() + len(match[0].rstrip(" ,:;\r\n")))
            yield piece
