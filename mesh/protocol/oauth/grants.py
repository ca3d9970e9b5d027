"""What is asked of a token endpoint: the parameters of each grant, in the order of its specification.

How we prove ourselves is added to these (`client_assertion`). Parameters that are not meant are left out and never
sent empty (RFC 6749, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mesh.protocol.oauth.form import Form

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"

# Kinds of token (RFC 8693, section 3; draft-ietf-oauth-identity-assertion-authz-grant).
TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:"  # noqa: S105 - the beginning of names
ACCESS_TOKEN: Final = TOKEN_TYPE + "access_token"
ID_TOKEN: Final = TOKEN_TYPE + "id_token"
JWT: Final = TOKEN_TYPE + "jwt"
ID_JAG: Final = TOKEN_TYPE + "id-jag"


def token_exchange(
    subject_token: str,
    subject_token_type: str,
    *,
    requested_token_type: str = ACCESS_TOKEN,
    audience: str | None = None,
    resource: str | None = None,
    scopes: Sequence[str] = (),
    actor_token: str | None = None,
) -> Form:
    """A token of the user's for another one (RFC 8693, section 2.1). `actor_token`: a JWT of who acts for it."""
    return _present(
        ("grant_type", TOKEN_EXCHANGE),
        ("resource", resource),
        ("audience", audience),
        ("scope", " ".join(scopes)),
        ("requested_token_type", requested_token_type),
        ("subject_token", subject_token),
        ("subject_token_type", subject_token_type),
        ("actor_token", actor_token),
        ("actor_token_type", JWT if actor_token is not None else None),
    )


def client_credentials(
    *, audience: str | None = None, resource: str | None = None, scopes: Sequence[str] = ()
) -> Form:
    """A token for the client itself (RFC 6749, section 4.4). `resource`: RFC 8707; others want `audience`."""
    return _present(
        ("grant_type", "client_credentials"),
        ("scope", " ".join(scopes)),
        ("resource", resource),
        ("audience", audience),
    )


def jwt_bearer(assertion: str, *, resource: str | None = None, scopes: Sequence[str] = ()) -> Form:
    """A JWT as the grant itself (RFC 7523, section 2.1)."""
    return _present(
        ("grant_type", JWT_BEARER),
        ("assertion", assertion),
        ("scope", " ".join(scopes)),
        ("resource", resource),
    )


def on_behalf_of(user_token: str, *, scopes: Sequence[str] = ()) -> Form:
    """Microsoft Entra's own exchange: the user's token as assertion. The scopes say for whom the new one is."""
    return _present(
        ("grant_type", JWT_BEARER),
        ("assertion", user_token),
        ("scope", " ".join(scopes)),
        ("requested_token_use", "on_behalf_of"),
    )


def _present(*parameters: tuple[str, str | None]) -> Form:
    return tuple((name, value) for name, value in parameters if value)
