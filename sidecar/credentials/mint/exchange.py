"""The user's token for one of the Backend (RFC 8693, or as the preset has it)."""

from __future__ import annotations

from mesh.policy.credentials import Exchange, WithoutUser
from mesh.protocol.oauth.presets import for_agent, for_user, takes_actor
from mesh.reasons import Reason
from sidecar.credentials.issued import Issued
from sidecar.credentials.mint.token_endpoint import Parts, ask, bearer, own_svid, refused, scopes_of
from sidecar.credentials.verified import Verified


async def mint(
    config: Exchange, subject: Verified | None, extra_scopes: frozenset[str], *, parts: Parts
) -> Issued:
    """Exchange the token of `subject`; without one the agent acts for itself where the Backend says so.

    Raises CredentialRefused.
    """
    scopes = scopes_of(config.scopes, extra_scopes)
    if subject is not None:
        asked = for_user(config, subject.token, scopes, await _actor(config, parts))
    elif config.without_user is WithoutUser.CLIENT_CREDENTIALS:
        asked = for_agent(config, scopes)
    else:
        raise refused(Reason.SUBJECT_MISSING, "its credential is exchanged for a user's token", parts)
    return bearer(await ask(config.server, asked.form, parts, audience=asked.audience, scopes=scopes))


async def _actor(config: Exchange, parts: Parts) -> str | None:
    """Our JWT-SVID, made for the authorization server like the one that proves us."""
    if not takes_actor(config):
        return None
    return await own_svid(config.server.client.audience, config.server, parts)
