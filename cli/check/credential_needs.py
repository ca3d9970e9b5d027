"""What the credential of a Backend needs: keys of Secrets, servers, and a user whose token is exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from mesh.policy.credentials import (
    ClientAuth,
    ClientCredentials,
    Credential,
    Exchange,
    GithubApp,
    IdJag,
    JwtBearer,
    SecretKey,
    StaticSecret,
    TokenServer,
    Vault,
    WithoutUser,
)
from mesh.policy.user_auth import UserAuth


def secret_keys(credential: Credential) -> tuple[SecretKey, ...]:
    """The keys of Secrets that the sidecar reads for it."""
    match credential:
        case StaticSecret():
            return (credential.secret,)
        case GithubApp():
            return (credential.key,)
        case JwtBearer(assertion=SecretKey() as assertion):
            return (assertion, *_proof(credential.server.client))
        case _:
            return tuple(chain.from_iterable(_proof(server.client) for server in token_servers(credential)))


def introspection_keys(users: UserAuth) -> tuple[SecretKey, ...]:
    """The keys of Secrets with which issuers are asked about tokens."""
    asked = (issuer.introspection for issuer in users.issuers if issuer.introspection is not None)
    return tuple(chain.from_iterable(_proof(one.client) for one in asked))


def token_servers(credential: Credential) -> tuple[TokenServer, ...]:
    """The authorization servers that issue it, in the order in which they are asked."""
    match credential:
        case Exchange() | ClientCredentials() | JwtBearer():
            return (credential.server,)
        case IdJag():
            return credential.idp, credential.server
        case _:
            return ()


def urls(credential: Credential) -> Iterator[str]:
    """What is asked for it: issuers, token endpoints, interfaces."""
    for server in token_servers(credential):
        yield from (url for url in (server.issuer, server.endpoint) if url is not None)
    if isinstance(credential, GithubApp | Vault):
        yield credential.url


def user_urls(users: UserAuth) -> Iterator[str]:
    """What is asked so that users' tokens can be verified."""
    for issuer in users.issuers:
        asked = None if issuer.introspection is None else issuer.introspection.endpoint
        yield from (url for url in (issuer.issuer, issuer.jwks_uri, asked) if url is not None)


def needs_user(credential: Credential | None) -> bool:
    """Is a request that belongs to no user refused?"""
    if isinstance(credential, Exchange):
        return credential.without_user is WithoutUser.REFUSE
    return isinstance(credential, IdJag)


def _proof(client: ClientAuth) -> tuple[SecretKey, ...]:
    return () if client.secret is None else (client.secret,)
