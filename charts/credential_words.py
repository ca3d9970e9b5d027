"""What each field of `credential` and `users` is for, as `field_words` has the others."""

from __future__ import annotations

from typing import Final

_SERVER: Final = {
    "issuer": "The authorization server, whose metadata name the token endpoint.",
    "tokenEndpoint": "The token endpoint, of a server without metadata.",
    "client": "How the sidecar proves itself there. Absent: with its JWT-SVID.",
}
_ASKED: Final = {
    "resource": "The URL of the server that the token is for (RFC 8707).",
    "scopes": "The scopes to ask for.",
}
_STEP_UP: Final = {
    "stepUp": "Scopes that are asked for in addition when the Backend answers insufficient_scope.",
}
_HEADER: Final = {
    "header": "The header that the value is put into.",
    "scheme": 'The word before the value; "" for the value alone. Not written it is Bearer in Authorization, and '
    "nothing in other headers.",
}

WORDS: Final[dict[str, dict[str, str]]] = {
    "read_credential": {
        "exchange": "The user's token is exchanged for one of this Backend (RFC 8693).",
        "clientCredentials": "A token for the agent itself (RFC 6749, section 4.4).",
        "jwtBearer": "The agent's JWT-SVID, or a JWT of a Secret, is turned into a token (RFC 7523, section "
        "2.1): workload identity federation.",
        "idJag": "Cross-app access: an identity assertion (ID-JAG) of the identity provider is turned into "
        "a token by the "
        "server's authorization server.",
        "svid": "The agent's JWT-SVID itself.",
        "secret": "What a Secret holds.",
        "githubApp": "An installation token of a GitHub App.",
        "vault": "A secret of Vault or OpenBao, which the agent's JWT-SVID opens.",
        "hidden": "Placeholders of hidden secrets (annotation hide-secrets) become these secrets here.",
    },
    "read_exchange": {
        **_SERVER,
        "preset": "What the server understands by an exchange: rfc8693, keycloak, or entra (on-behalf-of).",
        "audience": "For whom the token is to be.",
        **_ASKED,
        "subjectToken": "What kind of token the user's is.",
        "actor": "Whether the agent's JWT-SVID goes along as actor token, so that act shows the chain.",
        "withoutUser": "What becomes of a request that belongs to no user: it is refused, or the agent acts "
        "for itself.",
        **_STEP_UP,
    },
    "read_client_credentials": {
        **_SERVER,
        "audience": "For whom the token is to be.",
        **_ASKED,
        **_STEP_UP,
    },
    "read_jwt_bearer": {
        **_SERVER,
        "assertion": "The JWT, in a Secret. Absent: the agent's JWT-SVID.",
        "assertionAudience": "The audience of the JWT-SVID. Absent: the issuer, or the token endpoint.",
        **_ASKED,
        **_STEP_UP,
    },
    "read_id_jag": {
        "idp": "The identity provider, which knows the user.",
        "server": "The authorization server of the MCP server.",
        "resource": "The URL of the MCP server.",
        "audience": "For whom the identity assertion is to be. Absent: the issuer of server.",
        "scopes": "The scopes to ask for.",
        "subjectToken": "What kind of token the user's is.",
    },
    "read_server": _SERVER,
    "read_client": {
        "method": "jwt-spiffe and jwt-bearer: the agent's JWT-SVID, by either name of its kind. "
        "private-key: an assertion "
        "signed with a key of a Secret. secret-basic, secret-post: a client secret. none: no proof.",
        "id": "The client id. Absent: the agent's SPIFFE ID, or what the assertion says.",
        "audience": "The audience of the assertion. Absent: the issuer, or the token endpoint.",
        "secret": "The client secret, or the private key as PEM or JWK.",
    },
    "read_secret_key": {
        "name": "The name of a Secret that annotation credential-secrets of the pod names.",
        "key": "A key in it.",
    },
    "read_svid": {
        "audience": "For whom the JWT-SVID is.",
    },
    "read_secret": {
        "name": "The name of a Secret that annotation credential-secrets of the pod names.",
        "key": "A key in it.",
        **_HEADER,
    },
    "read_github_app": {
        "appId": "The app's id or client id.",
        "installationId": "The id of its installation.",
        "privateKey": "The app's private key as PEM.",
        "url": "GitHub's API; another one for GitHub Enterprise Server.",
        "repositories": "Repositories that the token is for, without their owner. Absent or empty: all of "
        "the installation.",
        "permissions": "What the token may do, like contents: read. Absent or empty: all that the app may.",
    },
    "read_vault": {
        "url": "Where Vault or OpenBao is.",
        "role": "The role of its JWT auth method.",
        "path": "The path of the secret in the HTTP API after /v1/, like secret/data/github of a KV version "
        "2 engine.",
        "field": "Which field of the secret.",
        "mount": "Where the JWT auth method is mounted.",
        "audience": "The audience of the JWT-SVID.",
        "namespace": "The namespace in Vault Enterprise or OpenBao. Absent: the root.",
        **_HEADER,
    },
    "read_hidden": {
        "variables": "Environment variables of the agent.",
    },
    "read_users": {
        "issuers": "Whose tokens are accepted.",
        "required": "Whether a request without a token is refused (401). One with an invalid token always "
        "is.",
        "scopes": "What every token has to hold; otherwise 403, insufficient_scope.",
        "bypass": "Paths that nobody needs a token for, each exact or ending in /*.",
        "resource": "How this workload calls itself in its metadata (RFC 9728). Absent: as its callers call "
        "it.",
        "application": "What the application gets in place of the token: an opaque handle, the token "
        "itself, or nothing.",
        "correlation": "By what an outbound request is known to be a user's, besides the handle: trace, "
        "session, context, "
        "or sole (no other user has a request under way).",
    },
    "read_issuer": {
        "issuer": "The issuer of the tokens, as in iss.",
        "audiences": "What tokens for this workload have as audience; one of them is enough.",
        "jwksUri": "Where its keys are. Absent: as its metadata say.",
        "algorithms": "The signature algorithms that it may use. Absent: every asymmetric one of RS, PS and "
        "ES.",
        "clockSkew": "By how much clocks may differ, at most 5m. Absent: 30s.",
        "introspection": "The issuer is asked about each token (RFC 7662). Absent: it is not.",
    },
    "read_introspection": {
        "endpoint": "Where to ask. Absent: as its metadata say.",
        "cache": "For how long an answer counts, at most. Absent: 60s.",
        "client": "How the sidecar proves itself there. Absent: with its JWT-SVID.",
    },
}
