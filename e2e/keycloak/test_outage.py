"""Keycloak is killed and comes back: what is known goes on, the rest is refused with its reason, all recovers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from e2e.keycloak.credentials import accepts, credentials, exchange_for
from e2e.keycloak.server import Keycloak
from e2e.keycloak.trust_domain import TrustDomain
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.key_sets import FRESH_SECONDS
from sidecar.credentials.mint import exchange
from sidecar.credentials.refreshed import MOST_PAUSE_SECONDS
from sidecar.credentials.verified import TokenRefused

NOTHING = frozenset[str]()


@contextlib.contextmanager
def killed(server: Keycloak) -> Iterator[None]:
    """It is gone inside, and back after it."""
    server.kill()
    try:
        yield
    finally:
        server.start_again()


async def test_keycloak_is_killed_and_comes_back(keycloak: Keycloak, mesh: TrustDomain) -> None:
    config = exchange_for(keycloak)
    with (
        credentials(keycloak, mesh, "orchestrator") as door,
        credentials(keycloak, mesh, "orchestrator") as new,
        credentials(keycloak, mesh, "orchestrator") as minting,
    ):
        for each in (door, new):
            each.users.use(accepts(keycloak))
        first, second, third = (keycloak.token("alice") for _ in range(3))
        alice = await door.verified(first)
        await exchange.mint(config, alice, NOTHING, parts=minting.parts)

        with killed(keycloak):
            assert door.users.known(first.encode()) == alice
            assert (await door.verified(second)).user == alice.user, "its keys are known"
            door.clock.ahead += 2 * FRESH_SECONDS
            assert (await door.verified(third)).user == alice.user, "they are old, and better than none"
            with pytest.raises(TokenRefused) as refused:
                await new.verified(first)
            assert refused.value.reason is Reason.ISSUER_UNAVAILABLE
            with pytest.raises(CredentialRefused) as unavailable:
                await exchange.mint(config, alice, NOTHING, parts=minting.parts)
            assert unavailable.value.reason is Reason.CREDENTIAL_UNAVAILABLE

        again = keycloak.token("alice")  # its database may have lost the last half second before the kill
        for each in (door, new):
            each.clock.ahead += MOST_PAUSE_SECONDS
            assert (await each.verified(again)).user == alice.user
        await exchange.mint(config, await new.verified(again), NOTHING, parts=minting.parts)
