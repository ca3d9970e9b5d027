"""Ways to hide a second request inside or behind a first one, as data: what two readers may count differently.

Each row makes bytes out of two whole requests, one that calls the allowed tool and one that calls the forbidden
one. However the bytes are divided into messages, the forbidden call must be seen as a message of its own, or
nothing must go on at all (RFC 9112, section 11).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class WireRow:
    """One trick; `build(allowed, forbidden)` gives what is written to the connection at once."""

    id: str
    build: Callable[[bytes, bytes], bytes]


def _with_headers(message: bytes, *lines: bytes, body: bytes | None = None) -> bytes:
    """The message with `lines` instead of its Content-Length, and another body when one is given."""
    head, _, own = message.partition(END)
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    return b"\r\n".join([*kept, *lines]) + END + (own if body is None else body)


def _length(data: bytes, name: bytes = b"Content-Length") -> bytes:
    return name + b": %d" % len(data)


def _body(message: bytes) -> bytes:
    return message.partition(END)[2]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)


def _both_lengths(allowed: bytes, forbidden: bytes) -> bytes:
    hidden = b"0\r\n\r\n" + forbidden
    return _with_headers(allowed, _length(hidden), b"Transfer-Encoding: chunked", body=hidden)


def _two_lengths(allowed: bytes, forbidden: bytes) -> bytes:
    body = _body(allowed)
    return _with_headers(allowed, _length(body), _length(body + forbidden), body=body + forbidden)


def _length_list(allowed: bytes, forbidden: bytes) -> bytes:
    body = _body(allowed)
    both = b"Content-Length: %d, %d" % (len(body), len(body + forbidden))
    return _with_headers(allowed, both, body=body + forbidden)


def _coded(line: bytes) -> Callable[[bytes, bytes], bytes]:
    """A Transfer-Encoding that only some readers recognise, beside a length that covers everything."""

    def build(allowed: bytes, forbidden: bytes) -> bytes:
        hidden = _chunk(_body(allowed)) + forbidden
        return _with_headers(allowed, _length(hidden), line, body=hidden)

    return build


def _chunk_size(text: bytes) -> Callable[[bytes, bytes], bytes]:
    """A chunk whose size only some readers understand; `%x` stands for the right number."""

    def build(allowed: bytes, forbidden: bytes) -> bytes:
        body = _body(allowed)
        chunk = text % len(body) + b"\r\n" + body + b"\r\n0\r\n\r\n"
        return _with_headers(allowed, b"Transfer-Encoding: chunked", body=chunk + forbidden)

    return build


def _signed_length(allowed: bytes, forbidden: bytes) -> bytes:
    body = _body(allowed)
    return _with_headers(allowed, b"Content-Length: +%d" % len(body), body=body + forbidden)


def _folded(allowed: bytes, forbidden: bytes) -> bytes:
    body = _body(allowed)
    return _with_headers(allowed, b"X-Folded: a\r\n " + _length(b""), _length(body), body=body + forbidden)


def _bare_line_feed(allowed: bytes, forbidden: bytes) -> bytes:
    body = _body(allowed)
    return _with_headers(allowed, b"X-Line: a\n" + _length(b""), _length(body), body=body + forbidden)


def _trailers(allowed: bytes, forbidden: bytes) -> bytes:
    body = _body(allowed)
    chunk = b"%x\r\n%s\r\n0\r\nContent-Length: %d\r\n\r\n" % (len(body), body, len(forbidden))
    return _with_headers(allowed, b"Transfer-Encoding: chunked", body=chunk + forbidden)


def _upgrade(allowed: bytes, forbidden: bytes) -> bytes:
    lines = (b"Connection: Upgrade", b"Upgrade: websocket", _length(_body(allowed)))
    return _with_headers(allowed, *lines) + forbidden


def _after_options(allowed: bytes, forbidden: bytes) -> bytes:
    return (
        _with_headers(b"OPTIONS" + allowed.removeprefix(b"POST"), b"Content-Length: 0", body=b"") + forbidden
    )


ROWS = [
    WireRow("pipelined", lambda allowed, forbidden: allowed + forbidden),
    WireRow("after-options", _after_options),
    WireRow("length-and-chunked", _both_lengths),
    WireRow("two-lengths", _two_lengths),
    WireRow("length-list", _length_list),
    WireRow("signed-length", _signed_length),
    WireRow("unknown-coding", _coded(b"Transfer-Encoding: xchunked")),
    WireRow("coding-after-tab", _coded(b"Transfer-Encoding:\tchunked")),
    WireRow("coding-before-space", _coded(b"Transfer-Encoding : chunked")),
    WireRow("coding-in-quotes", _coded(b'Transfer-Encoding: "chunked"')),
    WireRow("coding-twice", _coded(b"Transfer-Encoding: chunked, identity")),
    WireRow("chunk-size-prefixed", _chunk_size(b"0x%x")),
    WireRow("chunk-size-signed", _chunk_size(b"+%x")),
    WireRow("chunk-size-spaced", _chunk_size(b"%x ")),
    WireRow("chunk-size-huge", _chunk_size(b"10000000000000000%x")),
    WireRow("folded-line", _folded),
    WireRow("bare-line-feed", _bare_line_feed),
    WireRow("trailers", _trailers),
    WireRow("upgrade", _upgrade),
]
