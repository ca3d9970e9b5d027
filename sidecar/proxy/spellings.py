"""How servers write a secret: as it is, escaped for JSON or HTML, percent-encoded, in base64.

Most secrets have no character that anybody escapes, and few spellings.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from sidecar.hidden.inside_base64 import looks, url_alphabet

# What encoders leave as it is beside letters, digits and `_.-~`.
_SAFE = ("", "/", "!'()*", "!$&'()*+,;=:@", "!$&'()*+,;=:@/")
_CODE = re.compile(r"%[0-9A-F]{2}")
# Characters that some encoders of JSON escape though they need not.
_HTML_IN_JSON = "<>&"
_MORE_IN_JSON = "<>&+'`"


Spelled = tuple[tuple[bytes, ...], frozenset[int]]
"""All spellings of one secret, and every byte that one of them goes on after."""


def spelled(secret: bytes) -> Spelled:
    """Each spelling once."""
    spellings = tuple(dict.fromkeys(_spellings(secret)))
    return spellings, frozenset(b"".join(spelling[:-1] for spelling in spellings))


class SpelledBefore:
    """The same, kept for secrets that are used together with others which come and go."""

    __slots__ = ("_known", "_limit")

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._known: dict[bytes, Spelled] = {}

    def __call__(self, secret: bytes) -> Spelled:
        known = self._known.pop(secret, None) or spelled(secret)
        self._known[secret] = known
        if len(self._known) > self._limit:
            del self._known[next(iter(self._known))]
        return known


def _spellings(secret: bytes) -> Iterator[bytes]:
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
