"""How much one peer may send: every limit of the HTTP reader, with its safe default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Sizes in bytes unless said otherwise; what exceeds them is refused, never cut off."""

    head_bytes: int = 32768
    """Start line and header fields with the blank line; the same again for trailers and chunk extensions."""
    headers: int = 100
    """Header fields of one message, and fields of its trailer section."""
    body_bytes: int = 4 * 1024 * 1024
    """Body of one message; 0 means no limit, for streams."""
    chunk_line_bytes: int = 256
    """One chunk-size line with its extensions and CRLF."""
    interim: int = 8
    """1xx responses before the final response."""
