"""Secrets that a server sends back are taken out of its answer before the agent sees it.

Whoever shows a request's own header fields in an error page or in a tool's result would hand the agent what it
must not hold. So each spelling that servers have for text (as it is, escaped for JSON or HTML, percent-encoded, in
base64, also as a part of something longer) is replaced. A server that wants to give a secret away can spell it in
ways that nobody foresees; it has the secret anyway.

A stream is held back only where what has arrived ends like the beginning of a secret, so that events pass as soon
as they are whole.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

from mesh.protocol.http1.heads import Headers
from sidecar.hidden.inside_base64 import looks, url_alphabet
from sidecar.hidden.secrets import Grants

LEAST_BYTES = 8
"""Shorter secrets stay: what has a few characters is in any text, which would be garbled."""

CREDENTIAL = b"[outrider:credential]"
"""What stands in the place of a credential that the agent has no placeholder for."""

# What encoders leave as it is beside letters, digits and `_.-~`.
_SAFE = ("", "/", "!'()*", "!$&'()*+,;=:@", "!$&'()*+,;=:@/")
_CODE = re.compile(r"%[0-9A-F]{2}")
# Characters that some encoders of JSON escape though they need not.
_HTML_IN_JSON = "<>&"
_MORE_IN_JSON = "<>&+'`"


class Redactor:
    """Replaces secrets in answers; false where there is none to look for.

    One is shared by all answers of a Backend as long as its secrets stay the same.
    """

    __slots__ = ("_inside", "_longest", "_spellings", "_stands")

    def __init__(self, replacements: Mapping[bytes, bytes]) -> None:
        """`replacements`: by secret what stands in its place, which holds no part of another secret."""
        stands: dict[bytes, bytes] = {}
        for secret, replacement in replacements.items():
            if len(secret) >= LEAST_BYTES:
                for spelling in _spellings(secret):
                    stands.setdefault(spelling, replacement)
        self._stands = stands
        self._spellings = sorted(stands, key=len, reverse=True)
        self._inside = frozenset(b"".join(spelling[:-1] for spelling in stands))
        self._longest = len(self._spellings[0]) if stands else 0

    def __bool__(self) -> bool:
        return bool(self._spellings)

    def apply(self, data: bytes) -> bytes:
        """A whole body; the very same where it holds no secret."""
        if not self._found(data):
            return data
        passed: list[bytes] = []
        place = 0
        for start, spelling in self._matches(data):
            passed += (data[place:start], self._stands[spelling])
            place = start + len(spelling)
        passed.append(data[place:])
        return b"".join(passed)

    def headers(self, headers: Headers) -> Headers:
        """The fields without secrets in their values; a field whose name holds one is left out."""
        if not self or not self._found(b"\n".join(part for field in headers for part in field)):
            return headers
        return [(name, self.apply(value)) for name, value in headers if not self._found(name)]

    def stream(self) -> RedactedStream:
        """For one answer that passes as it comes."""
        return RedactedStream(self)

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """What of a stream may pass, and what has to wait because a secret may begin there."""
        held = self._held_from(data, 0)
        if not self._found(data):
            return (data, b"") if held == len(data) else (data[:held], data[held:])
        passed: list[bytes] = []
        place = 0
        for start, spelling in self._matches(data):
            # What may begin earlier, or be longer at the same place, goes first, as it does in a whole body.
            if start >= held:
                break
            passed += (data[place:start], self._stands[spelling])
            place = start + len(spelling)
            if place > held:
                held = self._held_from(data, place)
        passed.append(data[place:held])
        return b"".join(passed), data[held:]

    def _found(self, data: bytes) -> bool:
        for spelling in self._spellings:  # noqa: SIM110 - a generator would take twice as long
            if spelling in data:
                return True
        return False

    def _matches(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Where spellings stand, from left to right, none within another, of several at one place the longest.

        Not a pattern: those are slow to make, and `re` would keep what it has made, secrets and all. Each spelling
        is looked for once through the whole, so that a body full of secrets takes no longer than another.
        """
        next_ones = {one: place for one in self._spellings if (place := data.find(one)) >= 0}
        end = 0
        while next_ones:
            # The first of those with the same place is the longest.
            spelling = min(next_ones, key=next_ones.__getitem__)
            start = next_ones[spelling]
            if start >= end:
                yield start, spelling
                end = start + len(spelling)
            again = data.find(spelling, end)
            if again < 0:
                del next_ones[spelling]
            else:
                next_ones[spelling] = again

    def _held_from(self, data: bytes, start: int) -> int:
        """The first place from `start` on where `data` ends within a secret; its length where there is none."""
        held = len(data)
        if not data or data[-1] not in self._inside:
            return held  # as for most: a line, an event or an object has ended
        start = max(start, held - self._longest + 1)
        for spelling in self._spellings:
            place = data.find(spelling[:1], max(start, len(data) - len(spelling) + 1), held)
            while place >= 0 and not spelling.startswith(data[place:]):
                place = data.find(spelling[:1], place + 1, held)
            if place >= 0:
                held = place
        return held


class RedactedStream:
    """Gives the same for any division into pieces, and in the end the same as `Redactor.apply` for the whole."""

    __slots__ = ("_held", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may pass now: all of it, unless its end looks like the beginning of a secret."""
        passed, self._held = self._redactor.split(self._held + data if self._held else data)
        return passed

    def end(self) -> bytes:
        """What was still held; nothing comes after it."""
        held, self._held = self._held, b""
        return self._redactor.apply(held)


def _spellings(secret: bytes) -> Iterator[bytes]:
    """How servers write a secret. Most have no character that anybody escapes, and few spellings."""
    yield secret
    yield from _in_base64(secret)
    for safe in _SAFE:
        yield from _both_cases(quote(secret, safe=safe))
    yield from _both_cases(quote_plus(secret))
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return
    yield from _in_json(text)
    for quotes in (False, True):
        escaped = html.escape(text, quote=quotes)
        yield from (escaped.encode(), escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;").encode())


def _in_base64(secret: bytes) -> Iterator[bytes]:
    for encoded in (base64.b64encode(secret), *looks(secret)):
        yield from (encoded, url_alphabet(encoded))


def _both_cases(encoded: str) -> Iterator[bytes]:
    yield encoded.encode()
    yield _CODE.sub(lambda code: code[0].lower(), encoded).encode()


def _in_json(text: str) -> Iterator[bytes]:
    for ascii_only in (False, True):
        plain = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        for also in ("", _HTML_IN_JSON, _MORE_IN_JSON):
            for digits in ("%04x", "%04X"):
                one = plain.replace('\\"', "\\u" + digits % 0x22) if also == _MORE_IN_JSON else plain
                for character in also:
                    one = one.replace(character, "\\u" + digits % ord(character))
                yield from (one.encode(), one.replace("/", "\\/").encode())


class Redactors:
    """Those of the secrets in use, each made once; the one that was not asked for the longest gives way."""

    __slots__ = ("_limit", "_made")

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._made: dict[tuple[int, tuple[bytes, ...]], tuple[Grants, Redactor]] = {}

    def of(self, grants: Grants, minted: tuple[bytes, ...] = ()) -> Redactor:
        """For answers of a Backend that got these: hidden secrets, and credentials without a placeholder."""
        key = (id(grants), minted)
        # The grants are kept, so that no other object has their id meanwhile.
        made = self._made.pop(key, None) or (grants, _redactor(grants, minted))
        self._made[key] = made
        if len(self._made) > self._limit:
            del self._made[next(iter(self._made))]
        return made[1]


def _redactor(grants: Grants, minted: tuple[bytes, ...]) -> Redactor:
    hidden = {secret: fake for fake, secret in grants.secrets.items() if secret is not None}
    return Redactor({**dict.fromkeys(minted, CREDENTIAL), **hidden})
