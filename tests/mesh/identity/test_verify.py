from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import (
    Authority,
    authority_builder,
    authority_name,
    make_authority,
    make_intermediate,
)
from mesh.identity.errors import PeerRefused
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.verify import verify_chain, verify_peer
from mesh.reasons import Reason

WORKLOAD = SpiffeId("a.example", "/ns/x/sa/y")
HOUR = timedelta(hours=1)


@pytest.fixture
def bundles(authority: Authority, other_authority: Authority) -> dict[str, TrustBundle]:
    return {"a.example": authority.bundle, "b.example": other_authority.bundle}


def refusal(chain: tuple[bytes, ...], bundles: dict[str, TrustBundle], now: datetime) -> PeerRefused:
    with pytest.raises(PeerRefused) as refused:
        verify_peer(chain, bundles, now)
    return refused.value


def test_a_peer_of_our_own_domain_is_recognised(
    authority: Authority, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    svid = new_svid(authority, WORKLOAD, now, HOUR)
    assert verify_peer(svid.chain_der, bundles, now) == WORKLOAD


def test_a_peer_of_a_federated_domain_is_recognised(
    other_authority: Authority, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    stranger = SpiffeId("b.example", "/ns/x/sa/y")
    svid = new_svid(other_authority, stranger, now, HOUR)
    assert verify_peer(svid.chain_der, bundles, now) == stranger


def test_a_federated_domain_cannot_issue_for_ours(
    forge: Any, other_authority: Authority, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    refused = refusal((forge(signer=other_authority),), bundles, now)
    assert refused.reason is Reason.PEER_UNTRUSTED
    assert "spiffe://a.example/ns/x/sa/y" in refused.detail


def test_a_federated_domain_cannot_issue_for_ours_by_sending_its_root_along(
    forge: Any, other_authority: Authority, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    chain = (forge(signer=other_authority), other_authority.der)
    assert refusal(chain, bundles, now).reason is Reason.PEER_UNTRUSTED


def test_an_authority_of_the_same_name_but_another_key_is_not_trusted(
    bundles: dict[str, TrustBundle], now: datetime
) -> None:
    impostor = make_authority("a.example", now, HOUR)
    svid = new_svid(impostor, WORKLOAD, now, HOUR)
    assert refusal(svid.chain_der, bundles, now).reason is Reason.PEER_UNTRUSTED


def test_a_domain_without_bundle_is_unknown(
    forge: Any, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    leaf = forge(uris=("spiffe://c.example/x",))
    assert refusal((leaf,), bundles, now).reason is Reason.PEER_UNKNOWN_TRUST_DOMAIN


def test_an_empty_bundle_revokes_its_domain(forge: Any, now: datetime) -> None:
    empty = {"a.example": TrustBundle("a.example", ())}
    refused = refusal((forge(),), empty, now)
    assert refused.reason is Reason.PEER_UNTRUSTED
    assert "no authority" in refused.detail


def test_a_bundle_filed_under_another_domain_is_not_used(
    forge: Any, authority: Authority, now: datetime
) -> None:
    leaf = forge(uris=("spiffe://b.example/x",))
    assert refusal((leaf,), {"b.example": authority.bundle}, now).reason is Reason.PEER_UNTRUSTED


def test_no_certificate_is_no_identity(bundles: dict[str, TrustBundle], now: datetime) -> None:
    assert refusal((), bundles, now).reason is Reason.PEER_NO_CERTIFICATE


def test_an_unreadable_chain_is_refused(forge: Any, bundles: dict[str, TrustBundle], now: datetime) -> None:
    assert refusal((b"junk",), bundles, now).reason is Reason.PEER_BAD_LEAF
    assert refusal((forge(), b"junk"), bundles, now).reason is Reason.PEER_BAD_LEAF


@pytest.mark.parametrize("shape", [{"ca": True}, {"uris": ("spiffe://a.example/x", "spiffe://a.example/y")}])
def test_a_well_signed_certificate_that_is_no_svid_is_refused(
    forge: Any, bundles: dict[str, TrustBundle], now: datetime, shape: dict[str, Any]
) -> None:
    assert refusal((forge(**shape),), bundles, now).reason is Reason.PEER_BAD_LEAF


def test_an_expired_peer_is_refused(forge: Any, bundles: dict[str, TrustBundle], now: datetime) -> None:
    refused = refusal((forge(not_after=timedelta(seconds=-1)),), bundles, now)
    assert refused.reason is Reason.PEER_EXPIRED
    assert "expired at 2026-06-01 11:59:59" in refused.detail


def test_a_peer_that_is_not_valid_yet_is_refused(
    forge: Any, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    refused = refusal((forge(not_before=timedelta(seconds=1)),), bundles, now)
    assert refused.reason is Reason.PEER_EXPIRED
    assert "not valid before" in refused.detail


def test_a_peer_is_valid_to_its_last_second(
    forge: Any, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    assert verify_peer((forge(not_after=timedelta(0)),), bundles, now) == WORKLOAD


def test_an_expired_authority_vouches_for_nobody(
    forge: Any, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    leaf = forge(not_after=timedelta(days=9))
    assert refusal((leaf,), bundles, now + timedelta(days=2)).reason is Reason.PEER_UNTRUSTED


def test_intermediates_are_followed_in_any_order(
    authority: Authority, other_authority: Authority, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    middle = middle_authority(authority, now)
    lower = make_intermediate(middle, now, HOUR)
    leaf, *rest = new_svid(lower, WORKLOAD, now, HOUR).chain_der
    chain = (leaf, other_authority.der, *reversed(rest))
    assert verify_peer(chain, bundles, now) == WORKLOAD


def test_a_missing_intermediate_breaks_the_path(
    authority: Authority, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    intermediate = make_intermediate(authority, now, HOUR)
    leaf = new_svid(intermediate, WORKLOAD, now, HOUR).chain_der[:1]
    assert refusal(leaf, bundles, now).reason is Reason.PEER_UNTRUSTED


def test_an_intermediate_can_be_the_anchor(authority: Authority, now: datetime) -> None:
    intermediate = make_intermediate(authority, now, HOUR)
    svid = new_svid(intermediate, WORKLOAD, now, HOUR)
    assert verify_peer(svid.chain_der, {"a.example": intermediate.bundle}, now) == WORKLOAD


def test_an_intermediate_may_not_issue_authorities(
    authority: Authority, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    intermediate = make_intermediate(authority, now, HOUR)
    svid = new_svid(make_intermediate(intermediate, now, HOUR), WORKLOAD, now, HOUR)
    assert refusal(svid.chain_der, bundles, now).reason is Reason.PEER_UNTRUSTED


@pytest.mark.parametrize(
    "shape",
    [
        {"usages": ("digital_signature",)},
        {"ca": True, "usages": ("digital_signature",), "uris": ()},
        {"ca": True, "usages": None, "uris": ()},
        {"ca": None, "usages": ("key_cert_sign",), "uris": ()},
        {"ca": False, "usages": ("key_cert_sign",), "uris": ()},
    ],
)
def test_what_is_no_authority_cannot_vouch(
    forge: Any,
    leaf_key: ec.EllipticCurvePrivateKey,
    bundles: dict[str, TrustBundle],
    now: datetime,
    shape: dict[str, Any],
) -> None:
    signer_der = forge(subject="no authority", **shape)
    signer = Authority("a.example", x509.load_der_x509_certificate(signer_der), leaf_key, (signer_der,))
    svid = new_svid(signer, WORKLOAD, now, HOUR)
    assert refusal(svid.chain_der, bundles, now).reason is Reason.PEER_UNTRUSTED


def test_an_authority_with_the_identity_of_a_workload_cannot_vouch(
    forge: Any, leaf_key: ec.EllipticCurvePrivateKey, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    signer_der = forge(ca=True, usages=("key_cert_sign",), subject="workload as authority")
    signer = Authority("a.example", x509.load_der_x509_certificate(signer_der), leaf_key, (signer_der,))
    svid = new_svid(signer, WORKLOAD, now, HOUR)
    refused = refusal(svid.chain_der, bundles, now)
    assert refused.reason is Reason.PEER_UNTRUSTED
    assert "identity of a workload" in refused.detail


def test_a_leaf_without_key_identifiers_is_accepted(
    forge: Any, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    assert verify_peer((forge(),), bundles, now) == WORKLOAD


def test_a_critical_name_with_an_empty_subject_is_accepted(
    forge: Any, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    assert verify_peer((forge(subject="", san_critical=True),), bundles, now) == WORKLOAD


def test_what_is_proved_ends_with_the_first_certificate_of_the_path(
    authority: Authority, bundles: dict[str, TrustBundle], now: datetime
) -> None:
    short = make_intermediate(authority, now, timedelta(minutes=5))
    chain = new_svid(short, WORKLOAD, now, HOUR).chain_der
    assert verify_chain(chain, bundles, now).not_after == now + timedelta(minutes=5)


def middle_authority(parent: Authority, now: datetime) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = authority_name("middle")
    builder = authority_builder(parent.trust_domain, name, key.public_key(), now, HOUR, path_length=1)
    certificate = builder.issuer_name(parent.certificate.subject).sign(parent.key, hashes.SHA256())
    return Authority(parent.trust_domain, certificate, key, (certificate.public_bytes(Encoding.DER),))
