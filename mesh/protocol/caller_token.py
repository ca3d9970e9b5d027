"""Tokens in the header fields of requests: those that a caller gives, and those that a field may carry on.

A caller gives its token in a field that everybody knows; whoever passes it on may put it anywhere. So what counts
as given is read narrowly (a false one would be looked for in every request from then on), and what may be carried
widely.
The claims of a JWT (RFC 7519) are read without verification: they say where a token may go at most, and a caller
who writes a wrong one there has a token that nobody accepts.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from mesh.protocol.http1.fields import holds_credential

LEAST_BYTES = 8
"""Of the token in Authorization; shorter ones are no secret."""
LEAST_BYTES_ELSEWHERE = 16
"""Of what other fields hold: flags and counts must not pass for tokens."""

_JWT_BEGINS = b"eyJ"  # base64 of `{"`
_JWT = re.compile(rb"eyJ[\w-]*\.[\w-]+\.[\w-]*")
_GIVES = re.compile(rb"auth(?!or(?!iz))|jwt|passw|secret|token|api[-_]?key|assertion|credential")
_GIVES_NONE = re.compile(rb"csrf|xsrf")
_SCHEME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_PASSWORDS = (b"x-oauth-basic",)
"""What stands in the place of a password beside a token as user name."""
_SEPARATORS = bytes.maketrans(b',;"', b"   ")


def given(name: bytes, value: bytes) -> list[bytes]:
    """The tokens that a caller gave in the field `name` (lower case); most fields give none."""
    if name == b"authorization":
        return _one_token(value, LEAST_BYTES)
    if name == b"cookie":
        values = (pair.partition(b"=")[2].strip(b' \t"') for pair in value.split(b";"))
        return [cookie for cookie in values if len(cookie) >= LEAST_BYTES_ELSEWHERE]
    if (_GIVES.search(name) and not _GIVES_NONE.search(name)) or _JWT.fullmatch(value):
        return _one_token(value, LEAST_BYTES_ELSEWHERE)
    return []


def _one_token(value: bytes, least: int) -> list[bytes]:
    """One token, perhaps after a scheme. A value with parameters (Digest, Signature) is made for one request."""
    parts = value.split()
    if not 1 <= len(parts) <= 2 or len(parts[-1]) < least or value.translate(_SEPARATORS) != value:
        return []
    return [parts[-1]]


def may_carry(name: bytes, value: bytes) -> bool:
    """Whether a token is looked for in this field: by its name, or because a JWT begins in it.

    Not in every field, because a caller chooses its token: one that reads like a common value would otherwise take
    that field away from whatever the agent sends.
    """
    return holds_credential(name) or _JWT_BEGINS in value


def carried(value: bytes) -> Iterator[bytes]:
    """Everything in a field's value that could be a token, such as the password of Basic.

    Not what many requests share and a caller could choose as its token to have it taken out of them: a scheme, the
    user name of Basic beside a password.
    """
    words = value.split(None, 1)
    scheme = words[0] if len(words) > 1 and _SCHEME.fullmatch(words[0]) else b""
    rest = words[1] if scheme else value
    for piece in rest.translate(_SEPARATORS).split():
        if len(piece) >= LEAST_BYTES:
            yield piece
            named = piece.partition(b"=")[2]
            if len(named) >= LEAST_BYTES:
                yield named
    if scheme.lower() == b"basic":
        secret = _basic(rest.strip())
        if len(secret) >= LEAST_BYTES:
            yield secret


def _basic(encoded: bytes) -> bytes:
    """The password, or the user name where the password is none (RFC 7617); b"" for what is no base64."""
    try:
        user, _, password = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True).partition(
            b":"
        )
    except binascii.Error:
        return b""
    return user if len(password) < LEAST_BYTES or password in _NO_PASSWORDS else password


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself. `expires`: seconds since 1970, None where it does not say."""

    audience: tuple[str, ...] = ()
    expires: float | None = None


class _Payload(msgspec.Struct):
    aud: str | list[str] | None = None
    exp: int | float | None = None


_payload = msgspec.json.Decoder(_Payload)
OPAQUE = Claims()


def claims(token: bytes) -> Claims:
    """Audience and expiry of a signed JWT; of anything else OPAQUE, which is for nobody."""
    if _JWT.fullmatch(token) is None:
        return OPAQUE
    encoded = token.split(b".")[1]
    try:
        payload = _payload.decode(base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return OPAQUE
    audience = (payload.aud,) if isinstance(payload.aud, str) else tuple(payload.aud or ())
    return Claims(audience, payload.exp)
