"""Answers of token endpoints: a token that may be put into requests, or why there is none.

Read as if the server were hostile, because what it answers goes into a header field of requests to somebody else.
So a token has to be text that a field can hold, made for the audience that was asked for, and none of those that
we sent. What else an answer may hold (a refresh token above all) is not kept.
Sources: RFC 6749, section 5.1; RFC 8693, section 2.2.1; RFC 6750, section 2.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mesh.identity.errors import JwtInvalid
from mesh.identity.jws import from_base64url
from mesh.protocol.http1.heads import Headers
from mesh.protocol.oauth.grants import ACCESS_TOKEN, ID_JAG, JWT
from mesh.protocol.oauth.token_refusal import Wanted, invalid, is_html, printable, refusal, said_no
from mesh.protocol.strict_json import JsonRefused, parse

DEFAULT_SECONDS: Final = 300
"""For how long a token counts whose server does not say, and which cannot be read."""
MOST_SECONDS: Final = 24 * 3600
MOST_TOKEN_BYTES: Final = 16 * 1024
_SHOWN = 120

# Visible ASCII, but for what separates or quotes in a field: more than RFC 6750 allows, as some opaque tokens are.
_TOKEN = re.compile(r"[!#-+\--\[\]-~]+")
_SCOPES = re.compile(r"[!#-\[\]-~]+(?: +[!#-\[\]-~]+)*")
_NUMERAL = re.compile(r"[0-9]{1,18}")
_KIND: Final = {ACCESS_TOKEN: frozenset((ACCESS_TOKEN, JWT)), ID_JAG: frozenset((ID_JAG,))}


@dataclass(frozen=True, slots=True)
class Token:
    """What was given. `expires`: seconds since 1970. `scopes`: those granted."""

    value: str = field(repr=False)
    expires: float
    scopes: frozenset[str]


def read_token_response(
    status: int, headers: Headers, body: bytes, wanted: Wanted, *, asked: float, now: float
) -> Token:
    """The token of an answer; raises NoToken.

    `asked`: when the request was sent, from which its lifetime counts, so that a slow answer does not lengthen it;
    `now`: when it is read. Both in seconds since 1970.
    """
    if status != 200:
        raise refusal(status, headers, body, wanted, now)
    said = _object(headers, body)
    if "access_token" not in said and isinstance(said.get("error"), str):
        # Some servers say no with 200 OK.
        raise said_no(200, said, wanted)
    value = _token(said, wanted)
    _check_kind(said, wanted)
    claims = _claims(value)
    _check_audience(claims, wanted)
    return Token(value, _expires(said, claims, asked, now), _granted(said, wanted))


def _object(headers: Headers, body: bytes) -> Mapping[str, Any]:
    try:
        said = parse(body, max_depth=16).value
    except JsonRefused as refused:
        raise invalid(_no_json(headers, body, refused)) from None
    if not isinstance(said, dict):
        raise invalid("the answer is JSON, but no object")
    return said


def _no_json(headers: Headers, body: bytes, refused: JsonRefused) -> str:
    if is_html(headers, body):
        return "a web page was answered and no JSON: the URL is a login page's or a proxy's, and no token endpoint"
    if not body:
        return "the answer is empty"
    return f"the answer cannot be read ({refused.reason})"


def _token(said: Mapping[str, Any], wanted: Wanted) -> str:
    value = said.get("access_token")
    if value is None:
        more = " (a refresh token is of no use here)" if said.get("refresh_token") else ""
        raise invalid(f"the answer holds no access_token{more}")
    if not isinstance(value, str) or not value:
        raise invalid("access_token is no text")
    if len(value) > MOST_TOKEN_BYTES:
        raise invalid(f"the token has {len(value)} bytes, at most {MOST_TOKEN_BYTES} are taken")
    if _TOKEN.fullmatch(value) is None:
        raise invalid("the token holds characters that a header field must not hold (RFC 6750, section 2.1)")
    if any(_same(value, one) for one in wanted.sent):
        raise invalid("the server gave back a token that was sent to it, which is none for the Backend")
    return value


def _same(one: str, other: str) -> bool:
    """Also of JWTs that differ only in how the signature is spelt."""
    if one == other:
        return True
    signed = one.rpartition(".")[0]
    return signed.count(".") == 1 and signed == other.rpartition(".")[0]


def _check_kind(said: Mapping[str, Any], wanted: Wanted) -> None:
    issued = said.get("issued_token_type")
    # Required by RFC 8693 alone, and left out by servers that give access tokens only.
    if issued is None and wanted.token_type == ACCESS_TOKEN:
        issued = ACCESS_TOKEN
    if not isinstance(issued, str) or issued not in _KIND[wanted.token_type]:
        raise invalid(
            f"issued_token_type is {printable(issued, wanted)[:_SHOWN]}, and {wanted.token_type} was asked for"
        )
    kind = said.get("token_type")
    lowered = kind.lower() if isinstance(kind, str) else None
    if lowered == "bearer" or (lowered == "n_a" and wanted.token_type == ID_JAG):
        return
    advice = "; switch binding to keys off for our client" if lowered in ("dpop", "mac", "pop") else ""
    raise invalid(f"token_type is {printable(kind, wanted)[:_SHOWN]}, and only Bearer can be used{advice}")


def _claims(value: str) -> Mapping[str, Any]:
    """What a JWT says of itself, not verified; nothing of any other token.

    Read strictly: a token that the Backend may read otherwise than we do is not one to send.
    """
    parts = value.split(".")
    if len(parts) != 3:
        return {}
    header, payload = _decoded(parts[0]), _decoded(parts[1])
    if b'"alg"' not in header and payload.lstrip()[:1] != b"{":
        return {}
    try:
        claims = parse(payload, max_depth=32).value
    except JsonRefused as refused:
        raise invalid(f"the claims of the token cannot be read in one way only ({refused.reason})") from None
    if not isinstance(claims, dict):
        raise invalid("the claims of the token are no JSON object")
    return claims


def _decoded(part: str) -> bytes:
    try:
        return from_base64url(part)
    except JwtInvalid:
        return b""


def _check_audience(claims: Mapping[str, Any], wanted: Wanted) -> None:
    if wanted.audience is None or "aud" not in claims:
        return
    said = claims["aud"]
    audience = [said] if isinstance(said, str) else said
    if not isinstance(audience, list) or not all(isinstance(one, str) for one in audience):
        raise invalid("aud of the token is no list of names")
    if wanted.audience not in audience:
        names = ", ".join(printable(one, wanted)[:_SHOWN] for one in audience[:4]) or "nobody"
        raise invalid(
            f"the token is for {names}, and not for {wanted.audience}: give our client a mapper or scope that "
            "puts this audience into its tokens, or correct audience"
        )


def _expires(said: Mapping[str, Any], claims: Mapping[str, Any], asked: float, now: float) -> float:
    """The sooner of what the answer and the token say, at most a day from when it was asked for."""
    ends = claims.get("exp")
    readable = isinstance(ends, int | float) and not isinstance(ends, bool) and math.isfinite(ends)
    expires = asked + MOST_SECONDS
    if said.get("expires_in") is not None:
        expires = min(expires, asked + _seconds(said["expires_in"]))
    elif not readable:
        expires = asked + DEFAULT_SECONDS
    if isinstance(ends, int | float) and readable:
        expires = min(expires, ends)
    if expires <= now:
        raise invalid("the token has expired already: compare the clocks, and how long the server took")
    return float(expires)


def _seconds(value: object) -> float:
    if isinstance(value, str) and _NUMERAL.fullmatch(value):
        value = int(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        raise invalid("expires_in is no number of seconds above 0")
    return min(value, MOST_SECONDS)


def _granted(said: Mapping[str, Any], wanted: Wanted) -> frozenset[str]:
    scope = said.get("scope")
    if scope is None:
        return wanted.scopes
    if not isinstance(scope, str) or (scope.strip() and _SCOPES.fullmatch(scope.strip()) is None):
        raise invalid("scope is no list of scopes")
    return frozenset(scope.split())
