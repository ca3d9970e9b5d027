"""Every row of the table against the verification alone: no sockets, a fixed clock."""

from __future__ import annotations

from datetime import datetime

import pytest

from mesh.identity.errors import PeerRefused
from mesh.identity.verify import verify_chain
from tests.support.bad_certificates import ROWS, Row
from tests.support.workshop import Workshop

by_name = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@pytest.fixture(scope="session")
def workshop(now: datetime) -> Workshop:
    return Workshop(now)


def test_the_table_names_each_flaw_once() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 25


@by_name
def test_a_certificate_with_one_flaw_is_refused_for_that_flaw(row: Row, workshop: Workshop) -> None:
    with pytest.raises(PeerRefused) as refused:
        verify_chain(row.bad(workshop).chain, workshop.bundles, workshop.now)
    assert refused.value.reason is row.reason
    assert row.complaint in refused.value.detail


@by_name
def test_the_same_without_the_flaw_is_recognised(row: Row, workshop: Workshop) -> None:
    verify_chain(row.good(workshop).chain, workshop.bundles, workshop.now)
