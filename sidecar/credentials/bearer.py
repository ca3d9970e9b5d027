"""The token that a caller brings: in Authorization, as Bearer, once (RFC 6750, section 2.1)."""

from __future__ import annotations

import re

from mesh.identity.jws import MAX_TOKEN_BYTES
from mesh.protocol.http1.heads import RequestHead, all_values
from mesh.reasons import Reason
from sidecar.credentials.verified import TokenRefused

_SCHEME = b"bearer"
_IS_BEARER = re.compile(rb"(?i:bearer)(?![!#$%&'*+.^_`|~0-9A-Za-z-])")
_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"


def bearer_of(head: RequestHead) -> bytes | None:
    """The token, or None where there is no Authorization or one with another scheme.

    Raises TokenRefused: TOKEN_REPEATED, TOKEN_MALFORMED or TOKEN_TOO_LARGE.
    """
    value = head.fields.get(b"authorization")
    if value is None:
        return None
    # As many names as fields: none is repeated.
    if len(head.fields) != len(head.headers) and len(all_values(head.headers, b"authorization")) > 1:
        raise TokenRefused(Reason.TOKEN_REPEATED, "there are several Authorization headers")
    scheme, _, rest = value.partition(b" ")
    token = rest.lstrip(b" ")
    unpadded = token.rstrip(b"=")
    # Deleting characters is several times cheaper than a regular expression, for a token of a kilobyte or two.
    if scheme.lower() != _SCHEME or not unpadded or unpadded.translate(None, _CHARACTERS):
        if _IS_BEARER.match(value):
            raise TokenRefused(Reason.TOKEN_MALFORMED, "Authorization is not Bearer and one token")
        return None
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused(Reason.TOKEN_TOO_LARGE, f"{len(token)} bytes, at most {MAX_TOKEN_BYTES} are read")
    return token
