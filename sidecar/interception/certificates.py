"""The certificates of interception: authorities that can vouch for declared hosts only, and leaves below them.

The name constraints make it safe to trust the root: were the key stolen, it would be good for nothing but the
hosts whose traffic this sidecar sees anyhow. A kind of name that no Backend has is excluded altogether, since
constraints on one kind leave the other kinds free (RFC 5280, 4.2.1.10).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity.ca import key_usage
from sidecar.interception.declared import DeclaredHosts

# The keys die with the process, but applications hold the root as long as they live.
AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(hours=24)
# A clock that is set back must not make a certificate come from the future.
BACKDATED = timedelta(hours=1)

_ORGANIZATION = "Outrider interception"
_MOST_COMMON_NAME = 64  # X.520
_NO_ADDRESS = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_NO_NAME = ""  # every DNS name ends in it


@dataclass(frozen=True, slots=True)
class Signer:
    """What leaves are signed with. `root` is what applications trust, `intermediate` goes with each leaf."""

    root: x509.Certificate
    intermediate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def make_signer(hosts: DeclaredHosts, now: datetime) -> Signer:
    """A self-signed root and an authority below it, which may sign for TLS servers named by `hosts`.

    Two, because Java does not heed the constraints of a certificate that it trusts, only those of certificates
    between. The root's key is gone when this returns, so nothing is ever signed that does not come by the second.
    """
    root_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    constraints = name_constraints(hosts)
    # Each process has keys of its own; OpenSSL looks roots up by name.
    mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:16]
    root_name = _name(f"Outrider interception root {mark}")
    root = (
        _authority_builder(root_key.public_key(), root_name, now, constraints, path_length=1)
        .issuer_name(root_name)
        .sign(root_key, hashes.SHA256())
    )
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    intermediate = (
        _authority_builder(
            key.public_key(), _name(f"Outrider interception {mark}"), now, constraints, path_length=0
        )
        .issuer_name(root_name)
        .add_extension(issued_by, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return Signer(root, intermediate, key)


def make_leaf(
    signer: Signer, public_key: ec.EllipticCurvePublicKey, host: str, now: datetime
) -> x509.Certificate:
    """The certificate of the server `host`, a name or an IP address, and of no other."""
    # Without a DNS name in it clients hold the common name against the constraints, so addresses get none.
    name = _name(None if _is_address(host) or len(host) > _MOST_COMMON_NAME else host)
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    lifetime = min(LEAF_LIFETIME, signer.intermediate.not_valid_after_utc - now)
    return (
        _builder(public_key, name, now, lifetime)
        .issuer_name(signer.intermediate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(issued_by, critical=False)
        .sign(signer.key, hashes.SHA256())
    )


def name_constraints(hosts: DeclaredHosts) -> x509.NameConstraints:
    """What the authorities may vouch for.

    A constraint on a DNS name covers what is below it too; the standard has no way to say "this name alone", and
    the leading dot that would leave out the name itself is in no standard for DNS names, so `*.suffix` becomes
    `suffix`. InterceptionAuthority itself is exact (see `DeclaredHosts.cover`).
    """
    addresses = sorted(host for host in hosts.exact if _is_address(host))
    names = sorted((hosts.exact | hosts.suffixes).difference(addresses))
    permitted = [_subtree(host) for host in (*names, *addresses)]
    excluded: list[x509.GeneralName] = [] if names else [x509.DNSName(_NO_NAME)]
    if not addresses:
        excluded += [x509.IPAddress(network) for network in _NO_ADDRESS]
    return x509.NameConstraints(permitted or None, excluded or None)


def _authority_builder(
    public_key: ec.EllipticCurvePublicKey,
    name: x509.Name,
    now: datetime,
    constraints: x509.NameConstraints,
    *,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        _builder(public_key, name, now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(constraints, critical=True)
    )


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
