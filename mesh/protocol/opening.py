"""What a connection begins with: TLS, HTTP, or something else. Asked where one port carries all of them.

A captured connection names no protocol, so its first bytes decide how it is treated. Whatever a lenient server
could take for HTTP is read as HTTP, strictly, and refused if it is not: servers skip empty lines and fold the case
of methods. Anything else is opaque, and opaque bytes pass only where a policy lets them pass unseen.
"""

from __future__ import annotations

import re
from enum import Enum

TLS_HANDSHAKE = 0x16
"""Content type of a TLS record that holds a handshake message (RFC 8446, 5.1)."""

_LONGEST_METHOD = 20
_MOST_EMPTY = 64
# A method is a token (RFC 9110, 9.1); the space behind it tells it from the first word of other protocols.
_METHOD = re.compile(
    rb"[\r\n]{0,%d}(?!SSH-)[!#$%%&'*+.^_`|~0-9A-Za-z-]{1,%d}[ \t]|[\r\n]{%d}"
    % (_MOST_EMPTY, _LONGEST_METHOD, _MOST_EMPTY + 1)
)
_BEGUN = re.compile(rb"[\r\n]{0,%d}[!#$%%&'*+.^_`|~0-9A-Za-z-]{0,%d}" % (_MOST_EMPTY, _LONGEST_METHOD))


class Opening(Enum):
    """What the first bytes of a connection are."""

    TLS = "tls"
    HTTP = "http"
    OTHER = "other"


def opening(data: bytes) -> Opening | None:
    """What a connection that begins with `data` carries; None while that cannot be told."""
    if not data:
        return None
    if data[0] == TLS_HANDSHAKE:
        return Opening.TLS
    if _METHOD.match(data):
        return Opening.HTTP
    return None if _BEGUN.fullmatch(data) else Opening.OTHER
