"""Making the webhook's authority and the certificates that it serves with: P-256, SHA-256."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from mesh.identity.ca import authority_name, key_usage
from webhook.certificates.material import Pair

CLOCK_SKEW = timedelta(minutes=5)
"""API servers whose clocks are behind ours accept a certificate at once."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """authority, leaf  how long certificates are valid; each is renewed when a third of that is left
    announced           how long a new authority is published everywhere before it signs what is served
    """

    authority: timedelta = timedelta(days=365)
    leaf: timedelta = timedelta(days=7)
    announced: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        if not timedelta() < 3 * self.leaf <= self.authority or self.announced * 3 > self.leaf:
            raise ValueError(
                "an authority must live three times as long as a leaf, and a leaf as an announcement"
            )
        if 2 * self.leaf <= CLOCK_SKEW:
            raise ValueError(
                f"a leaf must live more than {CLOCK_SKEW.seconds // 2} s: one begins {CLOCK_SKEW.seconds} s "
                "early, and would otherwise be due as soon as it is made"
            )


def dns_names(service: str, namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """The names by which API servers call a Service; the first is what they ask for."""
    name = f"{service}.{namespace}"
    return (f"{name}.svc", f"{name}.svc.{cluster_domain}", name)


def make_authority(now: datetime, lifetime: timedelta) -> Pair:
    """A new authority, self-signed. Each has a name of its own, so that bundles with several stay unambiguous."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = authority_name(f"webhook authority {serial:040x}"[:64])
    certificate = (
        _builder(name, key, serial, now, now + lifetime)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def make_leaf(authority: Pair, names: Sequence[str], now: datetime, lifetime: timedelta) -> Pair:
    """A serving certificate for `names`, which never outlives its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    until = min(now + lifetime, authority.certificate.not_valid_after_utc)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(authority_name(names[0]), key, x509.random_serial_number(), now, until)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def _builder(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, serial: int, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
