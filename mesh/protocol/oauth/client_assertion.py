"""How a client proves itself to an authorization server: form parameters or a header field, for each method.

Sources: RFC 7521 and RFC 7523, section 2.2 (assertions); draft-ietf-oauth-spiffe-client-auth (JWT-SVIDs as such);
RFC 6749, section 2.3.1 (secrets); OpenID Connect Core, section 9 (private_key_jwt).
"""

from __future__ import annotations

import base64
from typing import Final

from mesh.protocol.oauth.form import Form, encoded
from mesh.protocol.oauth.signing_key import SigningKey

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:"
JWT_SPIFFE: Final = _ASSERTION_TYPE + "jwt-spiffe"
JWT_BEARER: Final = _ASSERTION_TYPE + "jwt-bearer"

ASSERTION_SECONDS = 60
"""For how long an assertion of our own counts: it is used at once, and only once."""


def by_assertion(assertion_type: str, assertion: str, client_id: str | None) -> Form:
    """Parameters with an assertion. The client is who it speaks of; an id is sent only where one is configured,
    since it must not disagree (RFC 7521, section 4.2).
    """
    return (
        *by_id(client_id),
        ("client_assertion_type", assertion_type),
        ("client_assertion", assertion),
    )


def by_id(client_id: str | None) -> Form:
    """What a public client says: its name, and no proof."""
    return (("client_id", client_id),) if client_id else ()


def by_secret(client_id: str, secret: str) -> Form:
    """Parameters with a secret (client_secret_post)."""
    return ("client_id", client_id), ("client_secret", secret)


def basic(client_id: str, secret: str) -> bytes:
    """The value of Authorization with a secret (client_secret_basic).

    Both parts are form-encoded first, so that a colon in an id or what is no ASCII can be told apart; a space is
    `%20`, since servers that decode percent-encoding alone take a plus for itself.
    """
    pair = f"{encoded(client_id)}:{encoded(secret)}".replace("+", "%20")
    return b"Basic " + base64.b64encode(pair.encode("ascii"))


def own_assertion(key: SigningKey, client_id: str, audience: str, *, now: float, ident: str) -> str:
    """An assertion that we sign (private_key_jwt). `now`: seconds since 1970; `ident`: never used before."""
    issued = int(now)
    return key.sign(
        {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": ident,
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        }
    )
