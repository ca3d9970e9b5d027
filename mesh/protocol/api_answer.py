"""Calls of APIs that hand out credentials, and what is common to their answers.

Read as if the server were hostile: what it hands out goes into a header field of requests to somebody else, and
its words go into logs. So both are checked, and the latter are stripped of what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mesh.protocol.http1.heads import Headers, header
from mesh.protocol.oauth.token_refusal import NoToken, Wanted, invalid, printable
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.reasons import Reason

MOST_TOKEN_BYTES: Final = 16 * 1024
MOST_WORDS: Final = 200
MOST_RETRY_SECONDS: Final = 3600.0

_FIELD_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_NUMERAL = re.compile(r"[0-9]{1,18}")
_BUSY: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Call:
    """One request of ours. `sent`: the secrets in it, which must not come back in any text."""

    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    sent: tuple[str, ...] = field(default=(), repr=False)


def object_of(body: bytes) -> Mapping[str, Any]:
    """The JSON object that was answered; raises NoToken (CREDENTIAL_ANSWER_INVALID)."""
    try:
        said = parse(body, max_depth=32).value
    except JsonRefused as refused:
        raise invalid(f"the answer cannot be read as JSON ({refused.reason})") from None
    if not isinstance(said, dict):
        raise invalid("the answer is JSON, but no object")
    return said


def field_value(value: object, what: str) -> str:
    """Text that a header field can hold; raises NoToken (CREDENTIAL_ANSWER_INVALID), which does not quote it."""
    if not isinstance(value, str) or not value:
        raise invalid(f"{what} is no text")
    if len(value) > MOST_TOKEN_BYTES:
        raise invalid(f"{what} has {len(value)} characters, at most {MOST_TOKEN_BYTES} are taken")
    if _FIELD_VALUE.fullmatch(value) is None:
        raise invalid(f"{what} holds characters that a header field must not hold")
    return value


def words(value: object, sent: tuple[str, ...]) -> str:
    """What may be told of a server's words; empty for what is no text."""
    return printable(value, Wanted(sent=sent))[:MOST_WORDS] if isinstance(value, str) else ""


def failed(status: int, headers: Headers, said: str, advice: str, *, busy: bool = False) -> NoToken:
    """What an answer means that hands out nothing. `busy`: asking again later helps, whatever the status."""
    if 300 <= status < 400:
        return invalid(
            f"{status}: a redirect is not followed, because our proof would go with it; write the new URL"
        )
    detail = ": ".join(filter(None, (str(status), said)))
    if busy or status in _BUSY or status >= 500:
        return NoToken(Reason.CREDENTIAL_UNAVAILABLE, detail, retry_after=retry_after(headers))
    return NoToken(Reason.CREDENTIAL_REFUSED, f"{detail} - {advice}" if advice else detail)


def retry_after(headers: Headers) -> float | None:
    """Seconds until asking again is of use (RFC 9110, section 10.2.3); None where they are not given as such."""
    text = (header(headers, b"retry-after") or b"").decode("latin-1")
    return min(float(text), MOST_RETRY_SECONDS) if _NUMERAL.fullmatch(text) else None
