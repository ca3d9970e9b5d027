"""WWW-Authenticate: what a client is told to bring, and what a server asks for (RFC 9110, 11.6.1; RFC 6750, 3).

Reading never fails: a challenge that cannot be read is none, and what was read before it counts. Writing takes any
text and lets through only the characters that RFC 6750 has for each value, so that nothing that a caller made can
end a quoted value or a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MOST_BYTES = 16 * 1024
MOST_PARAMETERS = 64

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a grammar
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|(?=,)|\Z)")
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))[ \t]*(?=,|\Z)')
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|\Z)")
_GAP = re.compile(r"[ \t,]*")
_ESCAPED = re.compile(r"\\(.)")
_NOT_QUOTABLE = re.compile(r"[^ !#-\[\]-~]")
_MOST_VALUE = 512


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge. `params` by name in lower case; of a repeated one the first counts."""

    scheme: str
    params: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[bytes]) -> tuple[Challenge, ...]:
    """All challenges of the field's values, in order."""
    return tuple(
        challenge for value in values for challenge in _challenges(value[:MOST_BYTES].decode("latin-1"))
    )


def _challenges(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = _skip(text, 0)
    while at < len(text):
        scheme = _SCHEME.match(text, at)
        if scheme is None:
            break
        params, at = _parameters(text, scheme.end())
        found.append(Challenge(scheme[1], params))
        at = _skip(text, at)
    return found


def _parameters(text: str, at: int) -> tuple[dict[str, str], int]:
    """The parameters that begin at `at`, and where they end: a comma may stand before one or before a scheme."""
    params: dict[str, str] = {}
    for _ in range(MOST_PARAMETERS):
        match = _PARAMETER.match(text, at)
        if match is None:
            break
        value = match[3] if match[2] is None else _ESCAPED.sub(r"\1", match[2])
        params.setdefault(match[1].lower(), value)
        at = _skip(text, match.end())
    if not params and (token := _TOKEN68.match(text, at)):
        at = token.end()
    return params, at


def _skip(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return at if gap is None else gap.end()


def bearer_challenge(params: Iterable[tuple[str, str]]) -> bytes:
    """A Bearer challenge with these parameters, each value quoted; empty ones are left out."""
    written = [f'{name}="{quotable(value)}"' for name, value in params if value]
    return b"Bearer" + (b" " + ", ".join(written).encode("ascii") if written else b"")


def quotable(text: str) -> str:
    """`text` with everything replaced that a value may not hold (RFC 6750, section 3), and not without end."""
    return _NOT_QUOTABLE.sub("'", text[:_MOST_VALUE])
