"""What a connection begins with: TLS, HTTP, or something else. Asked where one port carries all of them.

A captured connection names no protocol, so its first bytes decide how it is treated. Only what is surely HTTP or
TLS is read as that; anything else is opaque, and opaque bytes pass only where a policy lets them pass unseen.
"""

from __future__ import annotations

import re
from enum import Enum

TLS_HANDSHAKE = 0x16
"""Content type of a TLS record that holds a handshake message (RFC 8446, 5.1)."""

_LONGEST_METHOD = 20
# A method is a token (RFC 9110, 9.1); every one that is registered is of capitals, and a hyphen in two of them.
_METHOD = re.compile(rb"(?:\r\n)?[A-Z][A-Z-]{1,%d} " % (_LONGEST_METHOD - 1))
_BEGUN = re.compile(rb"\r?|(?:\r\n)?(?:[A-Z][A-Z-]{0,%d})?" % (_LONGEST_METHOD - 1))


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
