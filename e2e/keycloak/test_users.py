"""Users' tokens of a real Keycloak at the sidecar's door: keys by discovery, their rotation, and introspection."""

from __future__ import annotations

import asyncio

import pytest

from e2e.keycloak.credentials import Credentials, accepts, credentials
from e2e.keycloak.grants import claims, exchange, granted
from e2e.keycloak.server import Keycloak
from e2e.keycloak.trust_domain import TrustDomain
from mesh.policy.credentials import ClientAuth
from mesh.policy.user_auth import DEFAULT_SKEW_SECONDS, Introspection
from mesh.reasons import Reason
from sidecar.credentials.key_sets import APART_SECONDS, FRESH_SECONDS
from sidecar.credentials.users import LOOK_SECONDS
from sidecar.credentials.verified import TokenRefused, Verified

TRIES = 100


async def refusal(own: Credentials, token: str) -> Reason:
    with pytest.raises(TokenRefused) as refused:
        await own.verified(token)
    assert "eyJ" not in refused.value.detail
    return refused.value.reason


async def forgotten(own: Credentials, token: str) -> None:
    """Wait for the renewal of the keys that `known` has started."""
    for _ in range(TRIES):
        if own.users.known(token.encode()) is None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the token is still known")


async def test_the_token_says_who_the_user_is(keycloak: Keycloak, mesh: TrustDomain) -> None:
    with credentials(keycloak, mesh, "orchestrator") as own:
        own.users.use(accepts(keycloak))
        token = keycloak.token("alice")
        assert own.users.known(token.encode()) is None
        alice = await own.verified(token)
        assert own.users.known(token.encode()) == alice
    said = claims(token)
    assert (alice.user.issuer, alice.user.subject) == (keycloak.issuer, said["sub"])
    assert (alice.user.client, alice.user.scopes) == ("frontend", {"triage.use"})
    assert alice.expires == said["exp"] + DEFAULT_SKEW_SECONDS


async def test_a_token_for_somebody_else_does_not_count(keycloak: Keycloak, mesh: TrustDomain) -> None:
    token = keycloak.token("alice")
    svid = mesh.jwt_svid("orchestrator", keycloak.issuer)
    elsewhere = granted(exchange(keycloak, svid, token, audience="mcp-github"))
    with credentials(keycloak, mesh, "orchestrator") as own:
        own.users.use(accepts(keycloak))
        assert await refusal(own, elsewhere) is Reason.TOKEN_AUDIENCE
        assert await refusal(own, keycloak.admin_token()) is Reason.TOKEN_ISSUER
        assert await refusal(own, svid) is Reason.TOKEN_ISSUER
        forged = token[:-20] + ("A" * 20)
        assert await refusal(own, forged) is Reason.TOKEN_SIGNATURE
        assert (await own.verified(token)).token == token


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_keys_are_rotated_while_tokens_are_in_use(
    keycloak: Keycloak, mesh: TrustDomain, algorithm: str
) -> None:
    with credentials(keycloak, mesh, "orchestrator") as own:
        own.users.use(accepts(keycloak))
        before = keycloak.token("alice")
        await own.verified(before)

        keycloak.rotate_keys(algorithm)
        after = keycloak.token("alice")
        own.clock.ahead += APART_SECONDS
        await own.verified(after)
        assert isinstance(own.users.known(before.encode()), Verified), "both keys are published"

        keycloak.retire_keys(algorithm)
        own.clock.ahead += FRESH_SECONDS + LOOK_SECONDS
        await forgotten(own, before)
        assert await refusal(own, before) is Reason.TOKEN_KEY_UNKNOWN
        await own.verified(after)


async def test_introspection_ends_a_session_within_its_cache(keycloak: Keycloak, mesh: TrustDomain) -> None:
    with credentials(keycloak, mesh, "orchestrator") as own:
        own.users.use(accepts(keycloak, introspection=Introspection(ClientAuth(), seconds=60)))
        token = keycloak.token("alice")
        alice = await own.verified(token)
        assert alice.user.scopes == {"triage.use"}
        keycloak.admin("DELETE", f"/sessions/{claims(token)['sid']}")
        assert own.users.known(token.encode()) == alice
        own.clock.ahead += 61
        assert own.users.known(token.encode()) is None
        assert await refusal(own, token) is Reason.TOKEN_INACTIVE
