"""Cross-app access: the identity provider vouches for the user to the server's own authorization server.

Source: draft-ietf-oauth-identity-assertion-authz-grant; MCP, Enterprise-Managed Authorization. The assertion in
between is used once and not kept.
"""

from __future__ import annotations

from mesh.policy.credentials import IdJag
from mesh.protocol.oauth.grants import ID_JAG, jwt_bearer, token_exchange
from mesh.protocol.oauth.presets import SUBJECT_TYPES
from mesh.reasons import Reason
from sidecar.credentials.issued import Issued
from sidecar.credentials.mint.token_endpoint import Parts, ask, bearer, refused, scopes_of
from sidecar.credentials.verified import Verified


async def mint(
    config: IdJag, subject: Verified | None, extra_scopes: frozenset[str], *, parts: Parts
) -> Issued:
    """The user's token for an assertion at `config.idp`, and that for a token at `config.server`.

    Scopes are asked for where the assertion is made, and the second step gives what it holds. Raises
    CredentialRefused.
    """
    if subject is None:
        raise refused(Reason.SUBJECT_MISSING, "its credential is exchanged for a user's token", parts)
    audience = config.audience or config.server.issuer
    if audience is None:
        raise refused(
            Reason.CREDENTIAL_UNAVAILABLE,
            "idJag needs the issuer of server: write server.issuer or audience",
            parts,
        )
    scopes = scopes_of(config.scopes, extra_scopes)
    first = token_exchange(
        subject.token,
        SUBJECT_TYPES[config.subject],
        requested_token_type=ID_JAG,
        audience=audience,
        resource=config.resource,
        scopes=scopes,
    )
    assertion = await ask(config.idp, first, parts, audience=audience, scopes=scopes, token_type=ID_JAG)
    second = jwt_bearer(assertion.value, resource=config.resource)
    return bearer(await ask(config.server, second, parts, scopes=assertion.scopes))
