"""Sentences of users' tokens and of the credentials that the sidecar puts into requests."""

from __future__ import annotations

from typing import Final

SENTENCES: Final = {
    "token_missing": (
        "This workload wants a user's token in Authorization: Bearer; the WWW-Authenticate header says "
        "where to get one."
    ),
    "token_malformed": "The Authorization header holds no token that can be read (RFC 6750, RFC 7515).",
    "token_too_large": "The token is longer than 16 KiB.",
    "token_repeated": (
        "The request has several Authorization headers, and readers disagree on which one counts."
    ),
    "token_algorithm": (
        "The token is signed with an algorithm that its issuer's entry in users.issuers does not allow."
    ),
    "token_issuer": "No entry of users.issuers names the token's issuer (iss).",
    "token_audience": (
        "The token was made for somebody else: none of its audiences (aud) is one of users.issuers.audiences."
    ),
    "token_expired": "The token has expired (exp); get a new one.",
    "token_not_yet_valid": "The token is not valid yet (nbf or iat); compare the clocks.",
    "token_key_unknown": "The issuer publishes no key with the token's key id (kid).",
    "token_signature": "The token's signature is wrong.",
    "token_inactive": "The issuer says that the token is not active (RFC 7662).",
    "token_bound": (
        "The token is bound to a key of another client (cnf), so it cannot be used as a bearer token."
    ),
    "scope_missing": (
        "The token lacks a scope that is needed here; ask for the scopes in the WWW-Authenticate header."
    ),
    "issuer_unavailable": (
        "The token cannot be verified now: the issuer's keys cannot be had. Look at user_keys lines in "
        "the sidecar's log."
    ),
    "too_many_unknown_tokens": (
        "This caller has brought more tokens that nobody knows than are looked at in this time; tokens that are "
        "known are heard on."
    ),
    "handle_unknown": (
        "The handle is none of this pod's: made up, of another pod, or from before the sidecar was restarted."
    ),
    "handle_expired": (
        "The handle has expired together with the user's token; the user has to call again with a new one."
    ),
    "handle_stripped": "A handle was taken out of a request to somebody who could make no use of it.",
    "subject_missing": (
        "The Backend's credential is exchanged for a user's token, and this request belongs to no user: "
        "forward the "
        "Authorization header of the inbound request, or traceparent, or set withoutUser: client-credentials."
    ),
    "subject_ambiguous": (
        "The request could belong to more than one user; forward the Authorization header of the inbound "
        "request."
    ),
    "session_of_another": "The MCP session is not, or no longer, one that the agent began here; begin a new one.",
    "session_unavailable": (
        "The server did not begin an MCP session for this user, behind the one that it began for the agent."
    ),
    "credential_unavailable": (
        "The credential for this Backend cannot be had now; look at credential lines in the sidecar's log."
    ),
    "credential_refused": (
        "The authorization server refused to give a credential for this Backend; its answer is in the log."
    ),
    "credential_answer_invalid": (
        "The authorization server answered something that is no valid token response."
    ),
    "credential_secret_missing": (
        "A Secret that the Backend's credential needs is not there: look whether it has this key, and whether the "
        "pod's annotation outrider.dev/credential-secrets names it, or for a hidden one outrider.dev/hide-secrets "
        "its variable."
    ),
    "credential_not_accepted": (
        "The Backend refused the credential that the sidecar has for it, and a new one too where the request "
        "could be sent twice."
    ),
    "credential_plain_text": (
        "A credential would be sent or asked for in plain text; use https, or declare the host as a "
        "Backend with "
        "tls: Mesh (or None, where that is meant)."
    ),
    "placeholder_stopped": (
        "The request held the placeholder of a hidden secret and goes to a Backend that does not get that "
        "secret."
    ),
    "placeholder_unreadable": (
        "The request to a Backend with hidden secrets cannot be searched for placeholders: it is "
        "compressed, or "
        "longer than limits.bodyBytes."
    ),
}
