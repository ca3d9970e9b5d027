"""How an exchange is spelt for the authorization server at hand, and what its answer has to keep.

A server is asked in the words that it understands: what it ignores would look as if it were in force, and what it
refuses would cost the credential.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.policy.credentials import Exchange, Preset, SubjectKind
from mesh.protocol.oauth.form import Form
from mesh.protocol.oauth.grants import (
    ACCESS_TOKEN,
    ID_TOKEN,
    JWT,
    client_credentials,
    on_behalf_of,
    token_exchange,
)

SUBJECT_TYPES = {
    SubjectKind.ACCESS_TOKEN: ACCESS_TOKEN,
    SubjectKind.ID_TOKEN: ID_TOKEN,
    SubjectKind.JWT: JWT,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the audience that it named: None where the server was not told one."""

    form: Form
    audience: str | None


def takes_actor(exchange: Exchange) -> bool:
    """Whether our token goes along as actor: only plain RFC 8693 servers know what to make of it."""
    return exchange.actor and exchange.preset is Preset.RFC8693


def for_user(exchange: Exchange, token: str, scopes: Sequence[str], actor_token: str | None) -> Asked:
    """The user's `token` for one of the Backend."""
    if exchange.preset is Preset.ENTRA:
        return Asked(on_behalf_of(token, scopes=scopes), None)
    generic = exchange.preset is Preset.RFC8693
    form = token_exchange(
        token,
        SUBJECT_TYPES[exchange.subject] if generic else ACCESS_TOKEN,
        audience=exchange.audience,
        resource=exchange.resource if generic else None,
        scopes=scopes,
        actor_token=actor_token if generic else None,
    )
    return Asked(form, exchange.audience)


def for_agent(exchange: Exchange, scopes: Sequence[str]) -> Asked:
    """A token for the agent itself, where a request belongs to no user."""
    if exchange.preset is Preset.ENTRA:
        return Asked(client_credentials(scopes=scopes), None)
    resource = exchange.resource if exchange.preset is Preset.RFC8693 else None
    return Asked(
        client_credentials(audience=exchange.audience, resource=resource, scopes=scopes), exchange.audience
    )
