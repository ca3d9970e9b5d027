"""Trust domains that several tests share, and the MCP server behind them; skipped loudly without SPIRE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import subjects
from e2e.conftest import skip
from e2e.environments import Unavailable
from e2e.spire import domain
from e2e.spire.binaries import SPIRE, Binaries, binaries
from e2e.spire.domain import Domain
from e2e.spire.server import Lifetimes

HASTY = Lifetimes(authority="60s", x509_svid="14s", jwt_svid="20s")


@pytest.fixture(scope="session")
def spire() -> Binaries:
    try:
        return binaries()
    except Unavailable as reason:
        skip(f"SPIRE {SPIRE}", reason)
        raise


@pytest.fixture(scope="session")
def hasty(spire: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    """SVIDs that are renewed every two seconds and an authority that is replaced within a minute."""
    with domain.running("hasty.test", tmp_path_factory.mktemp("d"), HASTY) as running:
        yield running


@pytest.fixture(scope="session")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an MCP server that knows nothing of any of this."""
    try:
        with subjects.running("v2", Path(tmp_path_factory.mktemp("notes"))) as server:
            yield server.port
    except Unavailable as reason:
        skip("mcp 2.x", reason)
