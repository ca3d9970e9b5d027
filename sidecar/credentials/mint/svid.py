"""Our JWT-SVID itself, for servers that trust our trust domain."""

from __future__ import annotations

from mesh.policy.credentials import SvidToken
from sidecar.credentials.issued import Issued
from sidecar.credentials.mint.calling import own_svid
from sidecar.credentials.mint.fields import fields_of
from sidecar.credentials.mint.token_endpoint import Parts
from sidecar.credentials.verified import Verified


async def mint(
    config: SvidToken, subject: Verified | None, extra_scopes: frozenset[str], *, parts: Parts
) -> Issued:
    """A new one for the audience, whoever the request belongs to. Raises CredentialRefused."""
    # The one that is kept to prove us may be near its end, or just what the Backend did not accept.
    parts.proof.forget(config.audience)
    svid = await own_svid(config.audience, parts)
    expires = svid.expires_at.timestamp()
    return fields_of("authorization", "Bearer", svid.token.encode("ascii"), expires=expires)
