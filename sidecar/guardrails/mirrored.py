"""Header fields that repeat arguments follow them when they are masked (MCP 2026-07-28, Streamable HTTP, custom
headers).

A client repeats an argument in `Mcp-Param-<name>` where the tool's inputSchema says so. Left as it is, the header
would still say what was masked, and the server would refuse the call because the two differ. The schema is not
always known here; so a field is taken to repeat the argument whose value it says. Of numbers the value counts
and not the spelling: 4111111111111111.0 is what a field means that says 4111111111111111.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from mesh.protocol.http1.heads import Headers
from mesh.protocol.mcp.headers import decode_value, encode_value

PREFIX: Final = b"mcp-param-"
_LONGEST_NUMBER: Final = 400
"""Characters, more than any number that is a double has."""


def mirror_params(headers: Headers, before: Any, after: Any) -> Headers:
    """`headers` (names in lower case) with new values in each Mcp-Param field whose argument changed from `before`
    to `after`; the same list where none did. `before` is a copy that was made ahead of masking.

    Where two arguments had one value and only one changed, the field says the new one: rather refused by the
    server than a leak.
    """
    if not any(name.startswith(PREFIX) for name, _ in headers):
        return headers
    changed: dict[str | Decimal, str] = {}
    for old, said in _changed(before, after):
        number = _number(old)
        changed[old] = said
        if number is not None:
            changed[number] = said
    mirrored: Headers = []
    for name, value in headers:
        text = decode_value(value) if name.startswith(PREFIX) else None
        new = _said(changed, text) if text is not None else None
        mirrored.append((name, value if new is None else encode_value(new)))
    return headers if mirrored == headers else mirrored


def _said(changed: dict[str | Decimal, str], text: str) -> str | None:
    number = None if text in changed else _number(text)
    return changed.get(text if number is None else number)


def _number(text: str) -> Decimal | None:
    """What number the text is, in whatever spelling; None where it is none."""
    if len(text) > _LONGEST_NUMBER:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _changed(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """How each scalar that changed is said in a header, before and after."""
    pending = [(before, after)]
    while pending:
        old, new = pending.pop()
        if type(old) is dict and type(new) is dict:
            pending += [(value, new[name]) for name, value in old.items() if name in new]
        elif type(old) is list and type(new) is list:
            pending += zip(old, new, strict=False)
        elif type(old) in (str, int, float) and type(new) in (str, int, float) and old != new:
            yield str(old), str(new)
