from datetime import datetime, timedelta

import pytest

from mesh.identity.ca import CLOCK_SKEW, Authority, make_authority, make_intermediate
from mesh.identity.errors import SpiffeIdInvalid


def test_an_authority_is_valid_a_little_before_now(authority: Authority, now: datetime) -> None:
    assert authority.certificate.not_valid_before_utc == now - CLOCK_SKEW
    assert authority.certificate.not_valid_after_utc == now + timedelta(days=1)


def test_the_bundle_of_an_authority_holds_it_alone(authority: Authority) -> None:
    assert authority.bundle.trust_domain == "a.example"
    assert authority.bundle.authorities_der == (authority.der,)


def test_the_name_of_the_trust_domain_is_checked(now: datetime) -> None:
    with pytest.raises(SpiffeIdInvalid):
        make_authority("A b", now, timedelta(hours=1))


def test_a_very_long_trust_domain_still_gets_an_authority(now: datetime) -> None:
    assert make_authority("a" * 255, now, timedelta(hours=1)).trust_domain == "a" * 255


def test_intermediates_carry_the_chain_to_the_root(authority: Authority, now: datetime) -> None:
    first = make_intermediate(authority, now, timedelta(hours=1))
    second = make_intermediate(first, now, timedelta(hours=1))
    assert first.intermediates_der == (first.der,)
    assert second.intermediates_der == (second.der, first.der)
    first.certificate.verify_directly_issued_by(authority.certificate)
