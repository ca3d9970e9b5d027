"""What stands in the certificates; that clients heed it is tested with real ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from sidecar.interception.certificates import LEAF_LIFETIME, make_leaf, make_signer, name_constraints
from sidecar.interception.declared import DeclaredHosts

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LEAF_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
NAMES = DeclaredHosts(frozenset({"api.example.com"}), frozenset({"wild.example"}))
SIGNER = make_signer(NAMES, NOW)
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


@pytest.mark.parametrize(("authority", "path_length"), [(SIGNER.root, 1), (SIGNER.intermediate, 0)])
def test_the_authorities_are_for_declared_tls_servers_only(
    authority: x509.Certificate, path_length: int
) -> None:
    assert extension(authority, x509.BasicConstraints) == (x509.BasicConstraints(True, path_length), True)
    assert extension(authority, x509.NameConstraints) == (name_constraints(NAMES), True)
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    assert extension(authority, x509.ExtendedKeyUsage)[0] == server
    usage, critical = extension(authority, x509.KeyUsage)
    assert critical
    assert isinstance(usage, x509.KeyUsage)
    assert usage.key_cert_sign
    assert not usage.digital_signature
    authority.verify_directly_issued_by(SIGNER.root)


def test_what_signs_leaves_is_not_what_signed_itself() -> None:
    public_keys = [each.public_key() for each in (SIGNER.root, SIGNER.intermediate)]
    assert SIGNER.key.public_key() == public_keys[1] != public_keys[0]


def test_each_process_has_a_root_with_a_name_of_its_own() -> None:
    assert make_signer(NAMES, NOW).root.subject != SIGNER.root.subject


@pytest.mark.parametrize("host", ["api.example.com", "192.0.2.1", "a" * 63 + ".wild.example"])
def test_a_leaf_is_for_one_server_and_short_lived(host: str) -> None:
    leaf = make_leaf(SIGNER, LEAF_KEY, host, NOW)
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
    assert (
        signer
        == SIGNER.intermediate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    )
    leaf.verify_directly_issued_by(SIGNER.intermediate)


def test_no_leaf_outlives_its_authority() -> None:
    end = SIGNER.intermediate.not_valid_after_utc
    late = end - timedelta(hours=1)
    assert make_leaf(SIGNER, LEAF_KEY, "api.example.com", late).not_valid_after_utc == end
