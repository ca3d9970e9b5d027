"""A token for the agent itself (RFC 6749, section 4.4)."""

from __future__ import annotations

from mesh.policy.credentials import ClientCredentials
from mesh.protocol.oauth.grants import client_credentials
from sidecar.credentials.issued import Issued
from sidecar.credentials.mint.token_endpoint import Parts, ask, bearer, scopes_of
from sidecar.credentials.verified import Verified


async def mint(
    config: ClientCredentials, subject: Verified | None, extra_scopes: frozenset[str], *, parts: Parts
) -> Issued:
    """A token of the agent's own, whoever the request belongs to. Raises CredentialRefused."""
    scopes = scopes_of(config.scopes, extra_scopes)
    form = client_credentials(audience=config.audience, resource=config.resource, scopes=scopes)
    return bearer(await ask(config.server, form, parts, audience=config.audience, scopes=scopes))
