"""Form bodies of requests to authorization servers, byte for byte as the specification has them.

Source: RFC 6749, appendix B, and the application/x-www-form-urlencoded serializer of the WHATWG URL standard: of
ASCII only letters, digits and `*-._` stand for themselves, and a space is a plus.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote_plus

Form = tuple[tuple[str, str], ...]
"""Parameters in the order in which they are sent."""

MEDIA_TYPE = b"application/x-www-form-urlencoded"


def encode_form(parameters: Iterable[tuple[str, str]]) -> bytes:
    """The body that holds these parameters."""
    return "&".join(f"{encoded(name)}={encoded(value)}" for name, value in parameters).encode("ascii")


def encoded(text: str) -> str:
    """One name or value. Of the standard library's own spelling, `*` and `~` differ."""
    return quote_plus(text, safe="*").replace("~", "%7E")
