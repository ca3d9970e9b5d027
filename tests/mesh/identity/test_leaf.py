from typing import Any

import pytest

from mesh.identity.ca import Authority
from mesh.identity.certificate import load_certificate
from mesh.identity.errors import PeerRefused
from mesh.identity.leaf import check_leaf, check_signer
from mesh.identity.spiffe_id import SpiffeId
from mesh.reasons import Reason

BOTH = ("SERVER_AUTH", "CLIENT_AUTH")


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"dns": ("a.example", "b.example")},
        {"extended": BOTH},
        {"extended": (*BOTH, "CODE_SIGNING")},
        {"ca": None},
        {"subject": "", "san_critical": True},
        {"usages": ("digital_signature", "key_encipherment")},
    ],
)
def test_what_the_specification_allows_is_a_leaf(forge: Any, shape: dict[str, Any]) -> None:
    certificate = load_certificate(forge(**shape))
    assert check_leaf(certificate) == SpiffeId("a.example", "/ns/x/sa/y")


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ({"uris": ()}, "no subject alternative name"),
        ({"uris": (), "dns": ("a.example",)}, "0 URI names"),
        ({"uris": ("spiffe://a.example/x", "spiffe://a.example/y")}, "2 URI names"),
        ({"uris": ("spiffe://a.example/x", "https://a.example/y")}, "2 URI names"),
        ({"uris": ("https://a.example/x",)}, "does not begin with spiffe://"),
        ({"uris": ("spiffe://a.example",)}, "names a trust domain, not a workload"),
        ({"uris": ("spiffe://a.example/../x",)}, "path segment '..'"),
        ({"subject": ""}, "must be critical"),
        ({"ca": True}, "certificate authority"),
        ({"usages": None}, "no key usage"),
        ({"usage_critical": False}, "not critical"),
        ({"usages": ("key_encipherment",)}, "lacks digitalSignature"),
        ({"usages": ("digital_signature", "key_cert_sign")}, "keyCertSign or cRLSign"),
        ({"usages": ("digital_signature", "crl_sign")}, "keyCertSign or cRLSign"),
        ({"extended": ("SERVER_AUTH",)}, "both serverAuth and clientAuth"),
        ({"extended": ("CLIENT_AUTH",)}, "both serverAuth and clientAuth"),
        ({"extended": ("ANY_EXTENDED_KEY_USAGE",)}, "both serverAuth and clientAuth"),
    ],
)
def test_a_leaf_that_breaks_a_rule_is_refused(forge: Any, shape: dict[str, Any], complaint: str) -> None:
    certificate = load_certificate(forge(**shape))
    with pytest.raises(PeerRefused) as refused:
        check_leaf(certificate)
    assert refused.value.reason is Reason.PEER_BAD_LEAF
    assert complaint in refused.value.detail


def test_a_signer_may_have_the_id_of_its_trust_domain(authority: Authority) -> None:
    check_signer(authority.certificate)


def test_a_signer_may_have_no_name(forge: Any) -> None:
    check_signer(load_certificate(forge(uris=(), ca=True)))


def test_a_signer_may_not_have_the_identity_of_a_workload(forge: Any) -> None:
    certificate = load_certificate(forge(ca=True))
    with pytest.raises(PeerRefused) as refused:
        check_signer(certificate)
    assert refused.value.reason is Reason.PEER_UNTRUSTED
    assert "identity of a workload" in refused.value.detail
