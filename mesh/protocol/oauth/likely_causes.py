"""What is probably wrong when an authorization server says no, and what to do about it.

An error code is for programs; whoever set up the Backend needs to know which switch to look for. The rows with a
description come first, because a server's own words are closer to the cause than the code they come with.
"""

from __future__ import annotations

import re
from typing import Final

_BY_DESCRIPTION: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        # Keycloak.
        (
            r"standard token exchange is not enabled|not allowed to exchange",
            "turn on 'Standard token exchange' in the capability config of our client (26.2 or newer)",
        ),
        (
            r"not within the token audience",
            "the user's token has to name our client in aud: add an audience mapper to the client it was given to",
        ),
        (
            r"requested audience not available|audience not found",
            "the server knows no such audience for our client: link a client scope with an audience mapper for it "
            "to our client, and name that scope in scopes",
        ),
        (
            r"supports access tokens only",
            "this server exchanges access tokens only: set subjectToken: access_token, and let callers bring one",
        ),
        (
            r"requested_token_type unsupported",
            "this server does not give out the kind of token that was asked for: choose another preset",
        ),
        (
            r"token reuse|already been used|jti",
            "the server takes each assertion once, and saw ours before: use the method jwt-spiffe or private-key",
        ),
        (
            r"^invalid token\.?$",
            "the server no longer accepts the user's token: it has expired, or the user's session there has ended",
        ),
        (
            r"client_id parameter does not match",
            "client.id is not the name of the client whose proof this is: remove it, or correct it",
        ),
        (
            r"token is not active|issued in the future|too far in the past",
            "the dates of our assertion are not accepted: compare the clocks",
        ),
        (
            r"invalid token audience|multiple audiences|audience (is )?invalid|wrong audience|aud(ience)? claim"
            r"|AADSTS700212",
            "the assertion is made for another audience than the server wants: set client.audience "
            "(Keycloak: the issuer's URL of the realm; Entra: api://AzureADTokenExchange)",
        ),
        # Microsoft Entra.
        (
            r"AADSTS65001|consent",
            "nobody consented to this for our application: an administrator has to grant the API permission",
        ),
        (
            r"AADSTS50013",
            "the user's token is not one for our application: its aud has to be our application's id",
        ),
        (
            r"AADSTS70021|AADSTS7002\d\d",
            "no federated credential of the application fits our JWT-SVID: compare issuer, subject and audience",
        ),
        (
            r"AADSTS7000215|AADSTS7000222",
            "the client secret is wrong or has expired: put a new value (not its id) into the Secret",
        ),
        (
            r"AADSTS5007[69]|AADSTS53003|AADSTS50158",
            "conditional access wants the user to do something: the user has to log in anew",
        ),
    )
)

_BY_CODE: Final = {
    "invalid_client": (
        "the server does not know us by this proof: compare client.id, and the key or secret, with what is "
        "registered there"
    ),
    "unauthorized_client": "our client may not use this grant: allow it for the client at the server",
    "unsupported_grant_type": "the server does not know this grant: choose another preset or kind of credential",
    "invalid_grant": (
        "the server does not accept the token that was shown: it has expired, was revoked, or is another issuer's"
    ),
    "invalid_target": "the server knows no such audience or resource: compare both with what is registered there",
    "invalid_scope": "a scope is unknown, or not allowed for our client or this user: compare scopes",
    "insufficient_scope": "the user's token holds too few scopes for this exchange: callers have to ask for more",
    "access_denied": "a rule of the server forbids it for this user or our client: look at the server's own log",
    "invalid_request": "the server reads requests otherwise: compare the preset with the server's documentation",
    "interaction_required": "the user has to log in anew, or to consent, before this can be had",
    "invalid_dpop_proof": "the server binds tokens to keys (DPoP): switch that off for our client",
    "use_dpop_nonce": "the server binds tokens to keys (DPoP): switch that off for our client",
}

_JWT_SPIFFE: Final = (
    "the server does not take JWT-SVIDs as proof of our client: set up federated client authentication for our "
    "trust domain (Keycloak 26.4 or newer with the feature spiffe: a SPIFFE identity provider, and our SPIFFE ID "
    "as the client's subject), or choose another client.method"
)
_JWT_BEARER: Final = (
    "the server does not take our JWT-SVID as assertion: compare the issuer, subject and audience that are "
    "registered for our client there"
)


def likely_cause(
    error: str, description: str, *, spiffe: bool = False, assertion: bool = False
) -> str | None:
    """What to look at; None where nothing is known of this error. `spiffe`, `assertion`: we proved ourselves with
    our JWT-SVID, of the type jwt-spiffe or jwt-bearer.
    """
    for pattern, advice in _BY_DESCRIPTION:
        if pattern.search(description):
            return advice
    if error == "invalid_client" and spiffe:
        return _JWT_SPIFFE
    if error == "invalid_client" and assertion:
        return _JWT_BEARER
    return _BY_CODE.get(error)
