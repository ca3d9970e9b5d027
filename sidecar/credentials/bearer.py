"""The token that a caller brings: in Authorization, as Bearer, once (RFC 6750, section 2.1)."""

from __future__ import annotations

import re

from mesh.identity.jws import MAX_TOKEN_BYTES
from mesh.protocol.http1.heads import RequestHead, all_values
from mesh.reasons import Reason
from sidecar.credentials.verified import TokenRefused

_BEARER = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")
_IS_BEARER = re.compile(rb"(?i:bearer)(?![!#$%&'*+.^_`|~0-9A-Za-z-])")


def bearer_of(head: RequestHead) -> bytes | None:
    """The token, or None where there is no Authorization or one with another scheme.

    Raises TokenRefused: TOKEN_REPEATED, TOKEN_MALFORMED or TOKEN_TOO_LARGE.
    """
    value = head.fields.get(b"authorization")
    if value is None:
        return None
    if len(all_values(head.headers, b"authorization")) > 1:
        raise TokenRefused(Reason.TOKEN_REPEATED, "there are several Authorization headers")
    match = _BEARER.fullmatch(value)
    if match is None:
        if _IS_BEARER.match(value):
            raise TokenRefused(Reason.TOKEN_MALFORMED, "Authorization is not Bearer and one token")
        return None
    token = match[1]
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused(Reason.TOKEN_TOO_LARGE, f"{len(token)} bytes, at most {MAX_TOKEN_BYTES} are read")
    return token
