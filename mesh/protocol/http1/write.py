"""Message heads and chunks as bytes, and which fields travel further than one connection."""

from __future__ import annotations

from mesh.protocol.http1.fields import list_members
from mesh.protocol.http1.heads import Headers, all_values

LAST_CHUNK = b"0\r\n\r\n"
"""Ends a chunked body; no trailers."""

# RFC 9110, section 7.6.1. Everything that begins with proxy- goes as well.
HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"})

# A sender may name any field in Connection and so have the next hop drop it. These carry meaning from end to
# end: dropping them at a sender's word would change whom or what the message is for.
_END_TO_END = frozenset(
    {
        b"accept",
        b"authorization",
        b"baggage",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"forwarded",
        b"host",
        b"last-event-id",
        b"location",
        b"origin",
        b"set-cookie",
        b"traceparent",
        b"tracestate",
        b"www-authenticate",
    }
)
_END_TO_END_PREFIXES = (b"mcp-", b"a2a-", b"x-a2a-", b"x-forwarded-", b"x-mcp-")
_P = ord("p")
NAMES_NOTHING = frozenset({b"", b"keep-alive", b"close"})
"""Values of Connection that name no field."""


def encode_request_head(method: str, target: bytes, headers: Headers) -> bytes:
    """Request line and fields with the blank line. Raises ValueError for a line break in any part."""
    return _head(b"%b %b HTTP/1.1" % (method.encode("ascii"), target), headers)


def encode_response_head(status: int, reason: bytes, headers: Headers) -> bytes:
    """Status line and fields with the blank line. Raises ValueError for a line break in any part."""
    return _head(b"HTTP/1.1 %d %b" % (status, reason), headers)


def chunk(data: bytes) -> bytes:
    """`data` as one chunk; empty data gives no bytes, because an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def end_to_end(headers: Headers) -> Headers:
    """The fields that go on to the next connection (RFC 9110, section 7.6.1).

    Drops the hop-by-hop fields and what Connection names, but never Host, Content-Length, Content-Type,
    Authorization, Cookie, Mcp-*, A2A-* and their like because of Connection.
    """
    kept = [
        field
        for field in headers
        # The first byte is looked at because it is cheaper than a call, for every field of every message.
        if (name := field[0]) not in HOP_BY_HOP and (name[0] != _P or not name.startswith(b"proxy-"))
    ]
    if len(kept) == len(headers):
        return kept
    named = b",".join(all_values(headers, b"connection"))
    if named in NAMES_NOTHING:
        return kept
    dropped = {name for name in list_members(named) if not _always_kept(name)}
    return [field for field in kept if field[0] not in dropped]


def _always_kept(name: bytes) -> bool:
    return name in _END_TO_END or name.startswith(_END_TO_END_PREFIXES)


def _head(start: bytes, headers: Headers) -> bytes:
    head = b"\r\n".join([start, *map(b": ".join, headers), b"\r\n"])
    lines = len(headers) + 2
    # The last guard against a value that brings its own line break, at the price of three memchr passes.
    if head.count(b"\n") != lines or head.count(b"\r") != lines or 0 in head:
        raise ValueError("a part of the head holds a line break or NUL")
    return head
