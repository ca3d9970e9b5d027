"""JSON that every reader reads alike, or none at all.

A filter that reads a message otherwise than the server behind it is no filter. RFC 8259 leaves room for that:
what a repeated key means, how deep nesting may go, how large a number may be, whether NaN or a byte order
mark pass. So everything in that room is refused, and what is accepted has one canonical form, which is what
is passed on.

Two fast proofs, both at C speed, cover nearly every message: whatever an encoder wrote from a parsed value
holds no repeated key, no NaN and no byte order mark. Hence a body that equals the encoding of what was
decoded from it is strict JSON and is its own canonical form; so is a body that does once white space between
tokens is dropped. What neither proof covers (escapes that need not be, other spellings of numbers, everything
malformed) is read again by a slower reader that finds the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final, NoReturn

import msgspec

from mesh.reasons import Reason

MAX_DEPTH: Final = 64
"""Levels of arrays and objects that are accepted unless the caller says otherwise."""

_BOM = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\n\r"
_BRACES_TO_BRACKETS = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_BRACKETS_AND_QUOTES = bytes(sorted(set(range(256)) - set(b'[]{}"')))

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_format = msgspec.json.format
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A JSON text that was accepted.

    `value` is made of dict, list, str, int (of any size), float, bool and None. `canonical` is the compact
    UTF-8 text to pass on: numbers are spelt as received, keys keep their order.
    """

    value: Any
    canonical: bytes


class JsonRefused(Exception):
    """The sender's text is not JSON that every reader reads alike. `detail` is for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


_SHORT_BYTES = 2048


def parse(body: bytes, *, max_depth: int = MAX_DEPTH) -> Parsed:
    """Read `body` strictly (RFC 8259, and RFC 7493 on repeated keys and surrogates). Raises JsonRefused.

    Costs one decoding and one encoding where the sender writes compact JSON; time is linear in the size of
    the body in every case. `max_depth` counts nested arrays and objects, the outermost being 1.
    """
    if _has_more_openings(body, max_depth):
        _check_depth(body, max_depth)
    try:
        value = _decode(body)
        canonical = _encode(value)
        if canonical == body or canonical == _format(body, indent=-1):
            return Parsed(value, canonical)
    except _UNREADABLE:
        pass
    return _parse_slowly(body)


def _has_more_openings(body: bytes, most: int) -> bool:
    """Whether more than `most` brackets and braces open anywhere, strings included.

    A search for one byte runs at memory speed, a count of it goes byte by byte; and most bodies have few. For
    short bodies two counts are cheaper than a dozen searches.
    """
    if len(body) < _SHORT_BYTES:
        return body.count(b"{") + body.count(b"[") > most
    found = 0
    for opening in (b"{", b"["):
        position = body.find(opening)
        while position >= 0:
            found += 1
            if found > most:
                return True
            position = body.find(opening, position + 1)
    return False


def encode(value: Any) -> bytes:
    """`value`, as `parse` makes them, in compact UTF-8. Floats are spelt in the shortest form that reads back."""
    return _encode(value)


def _check_depth(body: bytes, max_depth: int) -> None:
    """Refuse `body` if it is nested deeper than `max_depth`; leave what is malformed to the readers.

    Strings are cut out first, then innermost pairs are removed level by level: what is left after `max_depth`
    rounds is deeper than that. No recursion, and no Python code per byte.
    """
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    nesting = body.translate(_BRACES_TO_BRACKETS, _ALL_BUT_BRACKETS_AND_QUOTES)
    # Two quotes side by side are a string without brackets, or the gap between two strings: dropping them
    # leaves everything else inside or outside of strings as it was.
    nesting = nesting.replace(b'""', b"")
    if b'"' in nesting:
        nesting = b"".join(nesting.split(b'"')[::2])
    for _ in range(max_depth):
        if b"[]" not in nesting:
            break
        nesting = nesting.replace(b"[]", b"")
    if nesting.count(b"[") > max_depth or b"[]" in nesting:
        raise JsonRefused(Reason.JSON_TOO_DEEP, f"nested deeper than {max_depth} levels")


def _parse_slowly(body: bytes) -> Parsed:
    """Read what the fast proofs do not cover, and say what is wrong where something is."""
    text = _text(body)
    try:
        canonical = _encode(_spelt_as_received(text))
        return Parsed(_decode(canonical), canonical)
    except json.JSONDecodeError as error:
        raise JsonRefused(Reason.JSON_MALFORMED, f"{error.msg} at character {error.pos}") from error
    except UnicodeEncodeError as error:
        raise JsonRefused(Reason.JSON_MALFORMED, "a string holds half of a surrogate pair") from error
    except msgspec.ValidationError as error:
        raise JsonRefused(Reason.JSON_NUMBER, "a number exceeds a double, or 4300 digits") from error
    except RecursionError as error:
        raise JsonRefused(Reason.JSON_TOO_DEEP, "nested deeper than can be read") from error


def _text(body: bytes) -> str:
    if body.startswith(_BOM):
        raise JsonRefused(Reason.JSON_NOT_UTF8, "begins with a byte order mark")
    try:
        # json.loads would also strip other characters; only these four are white space in JSON.
        return body.strip(_WHITE_SPACE).decode()
    except UnicodeDecodeError as error:
        raise JsonRefused(Reason.JSON_NOT_UTF8, f"byte {error.start} is not UTF-8") from error


def _refuse_constant(name: str) -> NoReturn:
    raise JsonRefused(Reason.JSON_NUMBER, f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonRefused(Reason.JSON_DUPLICATE_KEY, f"the key {_repeated(pairs)[:80]!r} appears twice")
    return members


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    counts = Counter(key for key, _ in pairs)
    return max(counts, key=counts.__getitem__)


# Numbers become msgspec.Raw, which encodes as the very text it was made of.
_spelt_as_received = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=msgspec.Raw, parse_int=msgspec.Raw, parse_constant=_refuse_constant
).decode
