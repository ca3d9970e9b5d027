"""Authorities, and certificates that break one rule at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.identity.ca import Authority, make_authority
from tests.support import forge as forging

Forge = Callable[..., bytes]


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def authority(now: datetime) -> Authority:
    return make_authority("a.example", now, timedelta(days=1))


@pytest.fixture(scope="session")
def other_authority(now: datetime) -> Authority:
    return make_authority("b.example", now, timedelta(days=1))


@pytest.fixture(scope="session")
def leaf_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def forge(authority: Authority, leaf_key: ec.EllipticCurvePrivateKey, now: datetime) -> Forge:
    """Sign a leaf with any shape; by default the sparsest one that is an X509-SVID."""

    def build(*, signer: Authority = authority, **shape: Any) -> bytes:
        return forging.forge(signer, leaf_key.public_key(), now, **shape)

    return build
