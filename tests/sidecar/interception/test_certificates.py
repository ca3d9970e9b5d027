"""What stands in the certificates; that clients heed it is tested with real ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from sidecar.interception.certificates import LEAF_LIFETIME, make_leaf, make_root, name_constraints
from sidecar.interception.declared import DeclaredHosts

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
LEAF_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
NAMES = DeclaredHosts(frozenset({"api.example.com"}), frozenset({"wild.example"}))
ROOT = make_root(KEY, NAMES, NOW)
EVERY_ADDRESS = [x509.IPAddress(IPv4Network("0.0.0.0/0")), x509.IPAddress(IPv6Network("::/0"))]


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> tuple[object, bool]:
    found = certificate.extensions.get_extension_for_class(kind)
    return found.value, found.critical


@pytest.mark.parametrize(
    ("hosts", "permitted", "excluded"),
    [
        (NAMES, [x509.DNSName("api.example.com"), x509.DNSName("wild.example")], EVERY_ADDRESS),
        (
            DeclaredHosts(frozenset({"a.example", "192.0.2.1", "2001:db8::1"})),
            [
                x509.DNSName("a.example"),
                x509.IPAddress(IPv4Network("192.0.2.1/32")),
                x509.IPAddress(IPv6Network("2001:db8::1/128")),
            ],
            None,
        ),
        (
            DeclaredHosts(frozenset({"192.0.2.1"})),
            [x509.IPAddress(IPv4Network("192.0.2.1/32"))],
            [x509.DNSName("")],
        ),
        (DeclaredHosts(frozenset()), None, [x509.DNSName(""), *EVERY_ADDRESS]),
    ],
    ids=["names", "both", "addresses", "nothing"],
)
def test_the_constraints_leave_no_kind_of_name_free(
    hosts: DeclaredHosts, permitted: list[x509.GeneralName] | None, excluded: list[x509.GeneralName] | None
) -> None:
    assert name_constraints(hosts) == x509.NameConstraints(permitted, excluded)


def test_the_root_is_an_authority_for_tls_servers_with_none_below_it() -> None:
    assert extension(ROOT, x509.BasicConstraints) == (x509.BasicConstraints(True, 0), True)
    assert extension(ROOT, x509.NameConstraints) == (name_constraints(NAMES), True)
    usage, critical = extension(ROOT, x509.KeyUsage)
    assert critical
    assert isinstance(usage, x509.KeyUsage)
    assert usage.key_cert_sign
    assert not usage.digital_signature
    ROOT.verify_directly_issued_by(ROOT)


def test_each_root_has_a_name_of_its_own() -> None:
    other = make_root(ec.generate_private_key(ec.SECP256R1()), NAMES, NOW)
    assert other.subject != ROOT.subject


@pytest.mark.parametrize("host", ["api.example.com", "192.0.2.1", "a" * 63 + ".wild.example"])
def test_a_leaf_is_for_one_server_and_short_lived(host: str) -> None:
    leaf = make_leaf(ROOT, KEY, LEAF_KEY, host, NOW)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len(list(names)) == 1
    assert names.get_values_for_type(x509.DNSName) == [host] or names.get_values_for_type(x509.IPAddress) == [
        IPv4Address(host)
    ]
    assert extension(leaf, x509.ExtendedKeyUsage)[0] == x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH]
    )
    assert extension(leaf, x509.BasicConstraints) == (x509.BasicConstraints(False, None), True)
    assert leaf.not_valid_after_utc == NOW + LEAF_LIFETIME
    assert leaf.not_valid_before_utc < NOW
    signer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert signer == ROOT.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    leaf.verify_directly_issued_by(ROOT)


def test_no_leaf_outlives_the_root() -> None:
    late = ROOT.not_valid_after_utc - timedelta(hours=1)
    assert (
        make_leaf(ROOT, KEY, LEAF_KEY, "api.example.com", late).not_valid_after_utc
        == ROOT.not_valid_after_utc
    )
