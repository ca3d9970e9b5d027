import pytest

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import Authority
from mesh.identity.errors import BundleInvalid, SpiffeIdInvalid


def test_authorities_laid_end_to_end_are_all_taken(authority: Authority, other_authority: Authority) -> None:
    bundle = TrustBundle.from_der("a.example", authority.der + other_authority.der)
    assert bundle.authorities_der == (authority.der, other_authority.der)


def test_bundles_with_the_same_authorities_are_equal(authority: Authority) -> None:
    assert TrustBundle.from_der("a.example", authority.der) == authority.bundle


def test_an_empty_bundle_is_a_bundle_that_trusts_nobody() -> None:
    assert TrustBundle.from_der("a.example", b"").store is None


@pytest.mark.parametrize("data", [b"garbage", b"\x30\x03abc", b"\x30\x05abc"])
def test_malformed_authorities_are_refused_with_the_trust_domain(data: bytes) -> None:
    with pytest.raises(BundleInvalid, match=r"bundle of a\.example"):
        TrustBundle.from_der("a.example", data)


def test_the_name_of_the_trust_domain_is_checked(authority: Authority) -> None:
    with pytest.raises(SpiffeIdInvalid):
        TrustBundle.from_der("spiffe://a.example", authority.der)
