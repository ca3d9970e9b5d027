from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import make_authority, make_intermediate
from mesh.identity.errors import SvidInvalid
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from sidecar.identity.own_identity import SvidOutOfDate, check_own_identity
from sidecar.identity.provider import Identity

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROOT = make_authority("a.example", NOW, 24 * HOUR)
WORKLOAD = SpiffeId("a.example", "/x")
GOOD = Identity(new_svid(ROOT, WORKLOAD, NOW, HOUR), {"a.example": ROOT.bundle})


def test_an_identity_that_peers_accept_passes() -> None:
    check_own_identity(GOOD, NOW)
    check_own_identity(GOOD, NOW, "spiffe://a.example/x")


def test_another_identity_than_the_wanted_one_does_not() -> None:
    with pytest.raises(SvidInvalid, match=r"not of spiffe://a\.example/y"):
        check_own_identity(GOOD, NOW, "spiffe://a.example/y")


@pytest.mark.parametrize("when", [NOW - HOUR, NOW + 2 * HOUR])
def test_the_date_is_told_apart_and_with_our_clock(when: datetime) -> None:
    with pytest.raises(SvidOutOfDate, match=f"and it is {when:%Y-%m-%d %H:%M:%S} here"):
        check_own_identity(GOOD, when)


@pytest.mark.parametrize("bundles", [{}, {"a.example": TrustBundle("a.example", ())}])
def test_without_an_authority_in_its_own_domain_it_does_not(bundles: dict[str, TrustBundle]) -> None:
    with pytest.raises(SvidInvalid, match="bundle"):
        check_own_identity(Identity(GOOD.svid, bundles), NOW)


def test_no_certificate_of_our_own_chain_may_have_expired() -> None:
    stale = make_intermediate(ROOT, NOW - 9 * HOUR, HOUR)
    svid = new_svid(ROOT, WORKLOAD, NOW, HOUR)
    chain = (*svid.chain_der, stale.der)
    with pytest.raises(SvidOutOfDate, match="a certificate of the chain"):
        check_own_identity(Identity(X509Svid.parse(chain, svid.key_pkcs8_der), GOOD.bundles), NOW)
