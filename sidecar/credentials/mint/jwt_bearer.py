"""Our JWT-SVID as the grant itself (RFC 7523, section 2.1): workload identity federation."""

from __future__ import annotations

from mesh.policy.credentials import JwtBearer
from mesh.protocol.oauth.grants import jwt_bearer
from sidecar.credentials.issued import Issued
from sidecar.credentials.mint.token_endpoint import Parts, ask, bearer, own_svid, scopes_of
from sidecar.credentials.verified import Verified


async def mint(
    config: JwtBearer, subject: Verified | None, extra_scopes: frozenset[str], *, parts: Parts
) -> Issued:
    """A token of the agent's own, whoever the request belongs to. Raises CredentialRefused."""
    scopes = scopes_of(config.scopes, extra_scopes)
    svid = await own_svid(config.assertion_audience, config.server, parts)
    form = jwt_bearer(svid, resource=config.resource, scopes=scopes)
    return bearer(await ask(config.server, form, parts, scopes=scopes))
