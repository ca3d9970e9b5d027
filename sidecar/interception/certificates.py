"""The certificates of interception: a root that can vouch for declared hosts only, and leaves below it.

The name constraints make it safe to trust the root: were its key stolen, it would be good for nothing but the
hosts whose traffic this sidecar sees anyhow. A kind of name that no Backend has is excluded altogether, since
constraints on one kind leave the other kinds free (RFC 5280, 4.2.1.10).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity.ca import key_usage
from sidecar.interception.declared import DeclaredHosts

# The key dies with the process, but applications hold the certificate as long as they live.
ROOT_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(hours=24)
# A clock that is set back must not make a certificate come from the future.
BACKDATED = timedelta(hours=1)

_ORGANIZATION = "Outrider interception"
_MOST_COMMON_NAME = 64  # X.520
_NO_ADDRESS = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_NO_NAME = ""  # every DNS name ends in it


def make_root(key: ec.EllipticCurvePrivateKey, hosts: DeclaredHosts, now: datetime) -> x509.Certificate:
    """A self-signed authority for TLS servers named by `hosts`, which may have no authority below it."""
    public_key = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    # Each process has a key of its own; OpenSSL looks roots up by name.
    name = _name(f"Outrider interception CA {identifier.digest.hex()[:16]}")
    return (
        _builder(public_key, name, now, ROOT_LIFETIME)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(name_constraints(hosts), critical=True)
        .sign(key, hashes.SHA256())
    )


def make_leaf(
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
    host: str,
    now: datetime,
) -> x509.Certificate:
    """The certificate of the server `host`, a name or an IP address, and of no other."""
    # Without a DNS name in it clients hold the common name against the constraints, so addresses get none.
    name = _name(None if _is_address(host) or len(host) > _MOST_COMMON_NAME else host)
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    return (
        _builder(public_key, name, now, min(LEAF_LIFETIME, root.not_valid_after_utc - now))
        .issuer_name(root.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(signer, critical=False)
        .sign(root_key, hashes.SHA256())
    )


def name_constraints(hosts: DeclaredHosts) -> x509.NameConstraints:
    """What the root may vouch for.

    A constraint on a DNS name covers what is below it too; the standard has no way to say "this name alone", and
    the leading dot that would leave out the name itself is in no standard for DNS names, so `*.suffix` becomes
    `suffix`. The authority itself is exact (see `DeclaredHosts.cover`).
    """
    addresses = sorted(host for host in hosts.exact if _is_address(host))
    names = sorted((hosts.exact | hosts.suffixes).difference(addresses))
    permitted = [_subtree(host) for host in (*names, *addresses)]
    excluded: list[x509.GeneralName] = [] if names else [x509.DNSName(_NO_NAME)]
    if not addresses:
        excluded += [x509.IPAddress(network) for network in _NO_ADDRESS]
    return x509.NameConstraints(permitted or None, excluded or None)


def _builder(
    public_key: ec.EllipticCurvePublicKey, name: x509.Name, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(common_name: str | None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION)]
    if common_name is not None:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def _subtree(host: str) -> x509.GeneralName:
    # An address alone is the network of which it is the only one: /32 or /128.
    return x509.IPAddress(ip_network(host)) if _is_address(host) else x509.DNSName(host)


def _general_name(host: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(host)) if _is_address(host) else x509.DNSName(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
