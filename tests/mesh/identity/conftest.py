"""Authorities, and certificates that break one rule at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity.ca import Authority, make_authority

Forge = Callable[..., bytes]

KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def authority(now: datetime) -> Authority:
    return make_authority("a.example", now, timedelta(days=1))


@pytest.fixture(scope="session")
def other_authority(now: datetime) -> Authority:
    return make_authority("b.example", now, timedelta(days=1))


@pytest.fixture(scope="session")
def leaf_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def forge(authority: Authority, leaf_key: ec.EllipticCurvePrivateKey, now: datetime) -> Forge:
    """Sign a leaf with any shape; by default the sparsest one that is an X509-SVID."""

    def build(
        *,
        uris: tuple[str, ...] = ("spiffe://a.example/ns/x/sa/y",),
        dns: tuple[str, ...] = (),
        san_critical: bool = False,
        subject: str = "workload",
        ca: bool | None = False,
        usages: tuple[str, ...] | None = ("digital_signature",),
        usage_critical: bool = True,
        extended: tuple[str, ...] | None = None,
        signer: Authority = authority,
        not_before: timedelta = timedelta(minutes=-1),
        not_after: timedelta = timedelta(hours=1),
    ) -> bytes:
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
        names += [x509.DNSName(name) for name in dns]
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else []
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(attributes))
            .issuer_name(signer.certificate.subject)
            .public_key(leaf_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + not_before)
            .not_valid_after(now + not_after)
        )
        extensions: list[tuple[Any, bool]] = []
        if names:
            extensions.append((x509.SubjectAlternativeName(names), san_critical))
        if ca is not None:
            extensions.append((x509.BasicConstraints(ca=ca, path_length=None), True))
        if usages is not None:
            bits = {usage: usage in usages for usage in KEY_USAGES}
            extensions.append((x509.KeyUsage(**bits), usage_critical))
        if extended is not None:
            oids = [getattr(ExtendedKeyUsageOID, name) for name in extended]
            extensions.append((x509.ExtendedKeyUsage(oids), False))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    return build
