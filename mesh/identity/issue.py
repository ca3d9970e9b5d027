"""Issuing X509-SVIDs: a public key and an identity in, a certificate chain out."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity.ca import CLOCK_SKEW, Authority, key_usage
from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid


def issue_svid(
    authority: Authority,
    spiffe_id: SpiffeId,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    lifetime: timedelta,
    dns_names: Sequence[str] = (),
) -> tuple[bytes, ...]:
    """Sign a leaf for `spiffe_id` and return its chain (DER, leaf first, root left out).

    `dns_names`: further names, or addresses, for what is also called by clients that ask for those. The leaf never
    outlives the authority. Raises SpiffeIdInvalid for an identity of another trust domain or without a path.
    """
    if spiffe_id.trust_domain != authority.trust_domain:
        raise SpiffeIdInvalid(f"the authority of {authority.trust_domain} does not issue {spiffe_id}")
    if not spiffe_id.path:
        raise SpiffeIdInvalid(f"{spiffe_id} has no path, so it is no identity of a workload")
    builder = leaf_builder(authority, spiffe_id, public_key, now, lifetime, dns_names)
    leaf = builder.sign(authority.key, hashes.SHA256())
    return (leaf.public_bytes(Encoding.DER), *authority.intermediates_der)


def new_svid(
    authority: Authority,
    spiffe_id: SpiffeId,
    now: datetime,
    lifetime: timedelta,
    dns_names: Sequence[str] = (),
) -> X509Svid:
    """Make a P-256 key and have it certified; raises SpiffeIdInvalid as `issue_svid` does."""
    key = ec.generate_private_key(ec.SECP256R1())
    chain = issue_svid(authority, spiffe_id, key.public_key(), now, lifetime, dns_names)
    return X509Svid.parse(chain, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def leaf_builder(
    authority: Authority,
    spiffe_id: SpiffeId,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    lifetime: timedelta,
    dns_names: Sequence[str] = (),
) -> x509.CertificateBuilder:
    """Everything that an X509-SVID leaf holds (X509-SVID, section 4 and appendix A), not yet signed."""
    not_after = min(now + lifetime, authority.certificate.not_valid_after_utc)
    both_roles = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    names = [x509.UniformResourceIdentifier(str(spiffe_id)), *map(host_name, dns_names)]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Outrider")]))
        .issuer_name(authority.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_roles), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(signer, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )


def host_name(name: str) -> x509.GeneralName:
    """A name in DNS, or an address, as certificates have it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
