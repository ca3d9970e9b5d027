"""Answers of token endpoints that hold no token: what they mean, and what may be told of them.

The words of a server go into logs and into answers to agents. So of what it says only codes and short, printable
text remain, without what was sent to it and without what looks like a secret; and each gets the likely cause.
Sources: RFC 6749, section 5.2; RFC 8693, section 2.2.2; RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from mesh.protocol.http1.heads import Headers, header
from mesh.protocol.oauth.grants import ACCESS_TOKEN
from mesh.protocol.oauth.likely_causes import likely_cause
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.reasons import Reason

MOST_RETRY_SECONDS: Final = 3600.0
_MOST_DESCRIPTION = 200
_MOST_CODE = 64
_NOT_PRINTABLE = re.compile(r"[^ -~]+")
_LIKE_A_SECRET = re.compile(r"eyJ[\w.+/=-]{8,}|[\w+=-]{40,}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,260}")
_LEAST_SECRET = 6
"""Shorter ones are not looked for: they would be found in ordinary words."""
_NUMERAL = re.compile(r"[0-9]{1,18}")
_NOT_NOW = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for, to compare the answer with.

    `audience`: None where the server was not told one. `sent`: every token and secret of the request: none of them
    is an answer, and none may be in what is told of one. `spiffe` and `assertion`: how we proved ourselves.
    """

    audience: str | None = None
    scopes: frozenset[str] = frozenset()
    token_type: str = ACCESS_TOKEN
    sent: Sequence[str] = field(default=(), repr=False)
    spiffe: bool = False
    assertion: bool = False


class NoToken(Exception):
    """The answer holds no token that may be used. The reason says whose fault: CREDENTIAL_REFUSED the server said
    no, CREDENTIAL_UNAVAILABLE it cannot answer now, CREDENTIAL_ANSWER_INVALID its answer is none.

    `detail` holds no secret. `retry_after`: seconds, where the server says when to ask again. `error`: the
    server's code, printable.
    """

    def __init__(
        self, reason: Reason, detail: str, *, retry_after: float | None = None, error: str | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
        self.error = error


def refusal(status: int, headers: Headers, body: bytes, wanted: Wanted, now: float) -> NoToken:
    """What an answer with any status but 200 means. `now`: seconds since 1970."""
    if 300 <= status < 400:
        return invalid(_redirected(status, headers, wanted))
    if status in (404, 405):
        return invalid(f"{status}: no token endpoint is at this URL; compare it with the issuer's metadata")
    if not 400 <= status < 600:
        return invalid(f"{status} is no answer of a token endpoint")
    said = _object(body)
    if status in (408, 429) or status >= 500:
        code = f" {printable(said['error'], wanted)[:_MOST_CODE]}" if said else ""
        retry = _retry_after(headers, now)
        return NoToken(Reason.CREDENTIAL_UNAVAILABLE, f"{status}{code}", retry_after=retry)
    if said:
        return said_no(status, said, wanted)
    page = ", with a web page: perhaps a proxy or firewall answered" if is_html(headers, body) else ""
    return NoToken(Reason.CREDENTIAL_REFUSED, f"{status} without an error code{page}")


def said_no(status: int, said: Mapping[str, Any], wanted: Wanted) -> NoToken:
    """What an answer means whose member `error` is text."""
    error = printable(said["error"], wanted)[:_MOST_CODE]
    description = said.get("error_description")
    words = printable(description, wanted)[:_MOST_DESCRIPTION] if isinstance(description, str) else ""
    detail = f"{status} {error}: {words}" if words else f"{status} {error}"
    cause = likely_cause(error, words, spiffe=wanted.spiffe, assertion=wanted.assertion)
    reason = Reason.CREDENTIAL_UNAVAILABLE if error in _NOT_NOW else Reason.CREDENTIAL_REFUSED
    return NoToken(reason, f"{detail} - {cause}" if cause else detail, error=error)


def _object(body: bytes) -> Mapping[str, Any] | None:
    """The answer, if it names an error."""
    try:
        said = parse(body, max_depth=16).value
    except JsonRefused:
        return None
    return said if isinstance(said, dict) and isinstance(said.get("error"), str) else None


def is_html(headers: Headers, body: bytes) -> bool:
    """Whether a web page was answered."""
    return b"html" in (header(headers, b"content-type") or b"").lower() or body.lstrip()[:1] == b"<"


def _redirected(status: int, headers: Headers, wanted: Wanted) -> str:
    origin = _ORIGIN.match((header(headers, b"location") or b"").decode("latin-1"))
    where = f" to {printable(origin[0], wanted)}" if origin else ""
    return (
        f"{status}: a redirect{where} is not followed, because our proof and the user's token would go with it; "
        "if the server has moved, write its new URL"
    )


def _retry_after(headers: Headers, now: float) -> float | None:
    """Seconds, from either form (RFC 9110, section 10.2.3); None for what cannot be read."""
    text = (header(headers, b"retry-after") or b"").decode("latin-1").strip()
    if _NUMERAL.fullmatch(text):
        return min(float(text), MOST_RETRY_SECONDS)
    try:
        when = parsedate_to_datetime(text)
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.fromtimestamp(now, UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds.total_seconds(), 0.0), MOST_RETRY_SECONDS)


def printable(value: object, wanted: Wanted) -> str:
    """What may be told of a server's words: a line of ASCII, without what was sent or looks like a secret."""
    if not isinstance(value, str):
        return "missing" if value is None else "no text"
    for secret in sorted(wanted.sent, key=len, reverse=True):
        if len(secret) >= _LEAST_SECRET:
            value = value.replace(secret, "***")
    return " ".join(_LIKE_A_SECRET.sub("***", _NOT_PRINTABLE.sub(" ", value)).split())


def invalid(detail: str) -> NoToken:
    """The answer is none."""
    return NoToken(Reason.CREDENTIAL_ANSWER_INVALID, detail)
