"""A certificate authority for one trust domain: a P-256 key and the certificate that vouches for it.

Small on purpose: the embedded Workload API server and the control plane both issue with it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mesh.identity.bundle import TrustBundle
from mesh.identity.spiffe_id import SCHEME, parse_trust_domain

# A peer whose clock runs behind ours would refuse a certificate that is valid only from this instant.
CLOCK_SKEW = timedelta(seconds=30)

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
"""What an authority signs with. Those that are made here are P-256; others bring what they have."""


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority that can sign. `intermediates_der` goes with each SVID it issues (empty for a root)."""

    trust_domain: str
    certificate: x509.Certificate
    key: SigningKey = field(repr=False)
    intermediates_der: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def der(self) -> bytes:
        """The authority's own certificate, as a bundle holds it."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def bundle(self) -> TrustBundle:
        """The bundle that trusts this authority and no other."""
        return TrustBundle(self.trust_domain, (self.der,))


def make_authority(trust_domain: str, now: datetime, lifetime: timedelta) -> Authority:
    """Make a self-signed authority, valid from a little before `now` until `now + lifetime`."""
    parse_trust_domain(trust_domain)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _unique(trust_domain)
    builder = authority_builder(trust_domain, name, key.public_key(), now, lifetime, path_length=None)
    certificate = builder.issuer_name(name).sign(key, hashes.SHA256())
    return Authority(trust_domain, certificate, key)


def make_intermediate(parent: Authority, now: datetime, lifetime: timedelta) -> Authority:
    """Make an authority below `parent`, which may issue SVIDs but no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _unique(parent.trust_domain)
    builder = authority_builder(parent.trust_domain, name, key.public_key(), now, lifetime, path_length=0)
    certificate = (
        builder.issuer_name(parent.certificate.subject)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.key.public_key()), critical=False
        )
        .sign(parent.key, hashes.SHA256())
    )
    chain = (certificate.public_bytes(Encoding.DER), *parent.intermediates_der)
    return Authority(parent.trust_domain, certificate, key, chain)


def make_bridge(before: Authority, after: Authority, now: datetime, lifetime: timedelta) -> bytes:
    """A certificate (DER) of `before` for the root `after`: who trusts the one comes to trust the other by it."""
    certificate, until = after.certificate, before.certificate.not_valid_after_utc
    lifetime = min(lifetime, until - now)
    builder = authority_builder(
        after.trust_domain, certificate.subject, after.key.public_key(), now, lifetime, path_length=None
    )
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(before.key.public_key())
    bridge = (
        builder.issuer_name(before.certificate.subject)
        .add_extension(signer, critical=False)
        .sign(before.key, hashes.SHA256())
    )
    return bridge.public_bytes(Encoding.DER)


def _unique(trust_domain: str) -> x509.Name:
    """Names that differ, so that in a bundle with several authorities each issuer's name means one of them."""
    return authority_name(f"{secrets.token_hex(4)} {trust_domain}")


def authority_name(common_name: str) -> x509.Name:
    """The subject of an authority. X.520 caps a common name at 64 characters."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Outrider"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
        ]
    )


def authority_builder(
    trust_domain: str,
    name: x509.Name,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    now: datetime,
    lifetime: timedelta,
    *,
    path_length: int | None,
) -> x509.CertificateBuilder:
    """What every authority's certificate has (X509-SVID, 3.2 and 4): all but the issuer and its signature."""
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SCHEME + trust_domain)]),
            critical=False,
        )
    )


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """The key usage of an authority, or of a leaf, which must never have an authority's bits."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
