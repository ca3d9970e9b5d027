"""Where a message ends: the one decision that smuggling is about (RFC 9112, section 6).

Everything that two parsers could decide differently is refused: Content-Length beside Transfer-Encoding, a
length that is not plain digits, any coding but `chunked`, chunked in HTTP/1.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.fields import list_members
from mesh.protocol.http1.heads import CHUNKED, UNTIL_CLOSE, Headers
from mesh.reasons import Reason

Fields = Mapping[bytes, bytes]
"""The fields of a head by name; those that decide the framing are not repeated, Connection is joined."""

_MOST_LENGTH_DIGITS = 15  # a petabyte, and far from where anybody's integers overflow


def declared_length(fields: Fields, http10: bool) -> int | None:
    """Content-Length, CHUNKED, or None if neither is given. Raises HttpRefused(HTTP_AMBIGUOUS_LENGTH)."""
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is None:
        return None if length is None else _number(length)
    if length is not None:
        raise _ambiguous("Content-Length and Transfer-Encoding are both given")
    if coding.lower() != b"chunked":
        raise _ambiguous("Transfer-Encoding is not chunked and nothing else")
    if http10:
        raise _ambiguous("HTTP/1.0 has no Transfer-Encoding")
    return CHUNKED


def response_length(fields: Fields, status: int, method: str, http10: bool) -> int:
    """What follows the head of a response to `method`. Raises HttpRefused(HTTP_AMBIGUOUS_LENGTH)."""
    declared = declared_length(fields, http10)
    if status < 200 or status == 204:
        if declared:
            raise _ambiguous("a response that has no body declares one")
        return 0
    if status == 304 or method == "HEAD":
        return 0
    if method == "CONNECT" and status < 300:
        if declared:
            raise _ambiguous("a tunnel declares a body")
        return 0
    return UNTIL_CLOSE if declared is None else declared


def stays_open(fields: Fields, http10: bool) -> bool:
    """Whether the sender keeps the connection after this message; HTTP/1.0 never does."""
    connection = fields.get(b"connection")
    if http10:
        return False
    if connection is None or connection == b"keep-alive":
        return True
    return b"close" not in list_members(connection)


def expects_continue(value: bytes, http10: bool) -> bool:
    """Whether the client waits for a 100; HTTP/1.0 cannot. Raises HttpRefused(HTTP_EXPECTATION)."""
    if value.lower() != b"100-continue":
        raise HttpRefused(Reason.HTTP_EXPECTATION, "Expect is not 100-continue")
    return not http10


def without_upgrade(headers: Headers, fields: Fields) -> Headers:
    """The fields without Upgrade, where it may be ignored (RFC 9110, section 7.8).

    Java's HTTP client offers h2c with every first request and goes on in HTTP/1.1 when nobody takes it up, so that
    offer is dropped. Raises HttpRefused(HTTP_UPGRADE) for every other protocol, whose client would wait for it.
    """
    offered = fields[b"upgrade"].lower() != b"h2c"
    if offered and b"upgrade" in list_members(fields.get(b"connection", b"")):
        raise HttpRefused(Reason.HTTP_UPGRADE, "the request asks for another protocol")
    return [field for field in headers if field[0] not in (b"upgrade", b"http2-settings")]


def _number(value: bytes) -> int:
    if not value.isdigit() or len(value) > _MOST_LENGTH_DIGITS or (value[0] == 0x30 and len(value) > 1):
        raise _ambiguous("Content-Length is not a plain decimal number")
    return int(value)


def _ambiguous(detail: str) -> HttpRefused:
    return HttpRefused(Reason.HTTP_AMBIGUOUS_LENGTH, detail)
