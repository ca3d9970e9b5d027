from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.identity.ca import Authority
from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.issue import issue_svid
from mesh.identity.leaf import check_leaf
from mesh.identity.spiffe_id import SpiffeId

WORKLOAD = SpiffeId("a.example", "/ns/x/sa/y")


def issue(
    authority: Authority, spiffe_id: SpiffeId, now: datetime, lifetime: timedelta = timedelta(hours=1)
) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    chain = issue_svid(authority, spiffe_id, key.public_key(), now, lifetime)
    return x509.load_der_x509_certificate(chain[0])


def test_what_is_issued_keeps_every_rule_for_leaves(authority: Authority, now: datetime) -> None:
    leaf = issue(authority, WORKLOAD, now)
    assert check_leaf(leaf) == WORKLOAD
    leaf.verify_directly_issued_by(authority.certificate)


def test_an_svid_never_outlives_its_authority(authority: Authority, now: datetime) -> None:
    leaf = issue(authority, WORKLOAD, now, timedelta(days=30))
    assert leaf.not_valid_after_utc == authority.certificate.not_valid_after_utc


@pytest.mark.parametrize("spiffe_id", [SpiffeId("b.example", "/x"), SpiffeId("a.example", "")])
def test_identities_that_are_not_ours_to_issue_are_refused(
    authority: Authority, now: datetime, spiffe_id: SpiffeId
) -> None:
    with pytest.raises(SpiffeIdInvalid):
        issue(authority, spiffe_id, now)
