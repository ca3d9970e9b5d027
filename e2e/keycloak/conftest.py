"""One trust domain and one Keycloak for a run; skipped loudly where Keycloak cannot be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.conftest import skip
from e2e.environments import Unavailable
from e2e.keycloak import server
from e2e.keycloak.distribution import KEYCLOAK, keycloak_home
from e2e.keycloak.handmade import Handmade, handmade
from e2e.keycloak.server import Keycloak
from e2e.keycloak.trust_domain import TrustDomain, trust_domain


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrustDomain]:
    """The mesh's trust domain: its workloads are the realm's clients."""
    with trust_domain(tmp_path_factory.mktemp("mesh")) as running:
        yield running


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrustDomain]:
    """A trust domain that the realm knows nothing of."""
    with trust_domain(tmp_path_factory.mktemp("stranger"), "stranger.test") as running:
        yield running


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory, mesh: TrustDomain) -> Iterator[Keycloak]:
    try:
        keycloak_home()
    except Unavailable as reason:
        skip(f"Keycloak {KEYCLOAK}", reason)
    with server.keycloak(tmp_path_factory.mktemp("keycloak"), mesh) as running:
        yield running


@pytest.fixture(scope="session")
def forger(keycloak: Keycloak) -> Iterator[Handmade]:
    """A trust domain that the realm knows, and whose keys the test holds."""
    with handmade(keycloak) as domain:
        yield domain
