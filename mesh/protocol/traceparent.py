"""The header field `traceparent` (W3C Trace Context, section 3.2): read strictly, and made.

Requests that share a trace id are taken for parts of one piece of work, so what is not exactly a traceparent has
no trace id: no upper case, no ids of zeros, nothing after the flags that its version does not have.
"""

from __future__ import annotations

import re
from typing import Final

RANDOM_BYTES: Final = 24
"""How many random bytes `make` turns into a trace id (16) and a parent id (8)."""

_FORM = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LENGTH = 55


def trace_id(value: bytes) -> str | None:
    """The 32 lower-case hexadecimal digits, or None where `value` is no traceparent.

    Versions after 00 may go on after the flags with a dash and more (section 3.2.4); ff is no version.
    """
    found = _FORM.match(value)
    if found is None:
        return None
    if len(value) > _LENGTH and (value[:2] == b"00" or value[_LENGTH] != 0x2D):
        return None
    return found[1].decode()


def make(random: bytes, *, sampled: bool = True) -> bytes:
    """A traceparent of version 00 that begins a trace, of RANDOM_BYTES random bytes.

    `sampled` is on because whoever takes part decides by its parent: off would switch the agent's own traces off.
    Raises ValueError for another number of bytes, and where an id would be all zeros.
    """
    made = b"00-%b-%b-%b" % (
        random[:16].hex().encode(),
        random[16:].hex().encode(),
        b"01" if sampled else b"00",
    )
    if len(random) != RANDOM_BYTES or trace_id(made) is None:
        raise ValueError(f"a traceparent is made of {RANDOM_BYTES} random bytes")
    return made
