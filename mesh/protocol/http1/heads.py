"""What the readers hand over: the head of a request or a response, and how to look into its fields."""

from __future__ import annotations

from typing import Any

import msgspec

Headers = list[tuple[bytes, bytes]]
"""Field lines in the order received: name in lower case, value without surrounding white space."""

CHUNKED = -1
"""body_length of a message in chunked transfer coding."""
UNTIL_CLOSE = -2
"""body_length of a response that ends where its connection does."""


class RequestHead(msgspec.Struct, eq=False):
    """Request line and fields (RFC 9112, section 3).

    `target` is as received, in origin, absolute, authority or asterisk form; it agrees with Host.
    `body_length` is a number of bytes or CHUNKED. `expects_continue`: the client waits for a 100 before it
    sends the body. `http10`: answer without chunked coding and close.
    """

    method: str
    target: bytes
    headers: Headers
    body_length: int
    keep_alive: bool
    expects_continue: bool
    http10: bool
    fields: dict[bytes, bytes] = {}
    """The headers by name, the last value of each; Connection is joined. For look-ups on the hot path."""
    memo: dict[Any, Any] = {}
    """What was derived from the head but for its Content-Length; shared by requests with the same head."""

    def __eq__(self, other: object) -> bool:
        """Equal if they say the same; `fields` and `memo` follow from the rest."""
        return isinstance(other, RequestHead) and self._said() == other._said()

    def __repr__(self) -> str:
        """For logs and tracebacks: values of fields and queries are secrets."""
        target = self.target.partition(b"?")[0]
        return f"RequestHead({self.method} {target!r}, {_names(self.headers)}, body {self.body_length})"

    __hash__ = None  # type: ignore[assignment]

    def _said(self) -> tuple[object, ...]:
        return (
            self.method,
            self.target,
            self.headers,
            self.body_length,
            self.keep_alive,
            self.expects_continue,
            self.http10,
        )


class ResponseHead(msgspec.Struct, eq=False):
    """Status line and fields (RFC 9112, section 4).

    `body_length` is what follows on this connection: a number of bytes (0 for answers to HEAD, 1xx, 204 and
    304 whatever Content-Length says), CHUNKED or UNTIL_CLOSE.
    """

    status: int
    reason: bytes
    headers: Headers
    body_length: int
    keep_alive: bool
    fields: dict[bytes, bytes] = {}
    memo: dict[Any, Any] = {}
    """Both as for a request."""

    def __eq__(self, other: object) -> bool:
        """As for a request."""
        return isinstance(other, ResponseHead) and self._said() == other._said()

    def __repr__(self) -> str:
        """As for a request."""
        return f"ResponseHead({self.status}, {_names(self.headers)}, body {self.body_length})"

    __hash__ = None  # type: ignore[assignment]

    def _said(self) -> tuple[object, ...]:
        return (self.status, self.reason, self.headers, self.body_length, self.keep_alive)


def _names(headers: Headers) -> str:
    return "fields " + ", ".join(name.decode("latin-1") for name, _ in headers) if headers else "no fields"


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first value of the field `name` (lower case), or None."""
    for known, value in headers:
        if known == name:
            return value
    return None


def all_values(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of the field `name` (lower case), in order."""
    return [value for known, value in headers if known == name]
