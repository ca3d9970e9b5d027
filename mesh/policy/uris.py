"""Resource URIs as a policy must look at them: several spellings can name one resource.

A server may decode, fold and normalise a URI before it opens something. So an allow pattern matches only a
URI that cannot climb out of what the pattern shows, and a deny entry is tried against every spelling a
lenient server could read out of it.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

MAX_URI = 4096
_MAX_DECODINGS = 4

_HOSTILE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DOT_SEGMENT = re.compile(r"(?:^|[/:?#;=&])\.\.?(?=[/;?#&]|$)")
_SCHEME_AND_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://[^/?#]*)?")
_SLASHES = re.compile(r"(?<!:)/{2,}")


def well_formed_uri(uri: str) -> bool:
    """True when patterns may match the URI: it has nothing, raw or percent-encoded, that could lead elsewhere."""
    if len(uri) > MAX_URI:
        return False
    decoded = _decode(uri)
    return decoded is not None and not _climbs(uri) and (decoded is uri or not _climbs(decoded))


def _climbs(uri: str) -> bool:
    """True when the URI has a segment `.` or `..`, a backslash, control character or line separator."""
    return _HOSTILE.search(uri) is not None or ("." in uri and _DOT_SEGMENT.search(uri) is not None)


def readings(uri: str) -> tuple[str, ...]:
    """The URI, and the other spellings that a lenient server could take it for, for deny entries."""
    decoded = _decode(uri)
    if decoded is None:
        decoded = uri
    folded = _SLASHES.sub("/", decoded)
    origin = _SCHEME_AND_HOST.match(folded)
    if origin is not None:
        folded = origin.group().lower() + folded[origin.end() :]
    bare = re.split(r"[?#]", folded, maxsplit=1)[0]
    return tuple(dict.fromkeys((uri, decoded, folded, bare, bare.rstrip("/"))))


def _decode(uri: str) -> str | None:
    """The URI with percent-encoding undone until nothing changes; None when that takes suspiciously long."""
    for _ in range(_MAX_DECODINGS):
        if "%" not in uri:
            return uri
        decoded = unquote(uri, errors="replace")
        if decoded == uri:
            return uri
        uri = decoded
    return None
