"""Signs certificates of any shape, also shapes that no authority should ever sign."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity.ca import Authority

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
WORKLOAD = "spiffe://a.example/ns/x/sa/y"
Extensions = Sequence[tuple[x509.ExtensionType, bool]]


def forge(
    signer: Authority,
    public_key: Any,
    now: datetime,
    *,
    uris: tuple[str, ...] = (WORKLOAD,),
    dns: tuple[str, ...] = (),
    san_critical: bool = False,
    subject: str = "workload",
    ca: bool | None = False,
    usages: tuple[str, ...] | None = ("digital_signature",),
    usage_critical: bool = True,
    extended: tuple[str, ...] | None = None,
    more: Extensions = (),
    digest: hashes.HashAlgorithm | None = None,
    not_before: timedelta = timedelta(minutes=-1),
    not_after: timedelta = timedelta(hours=1),
) -> bytes:
    """Sign a certificate (DER); by default the sparsest one that is an X509-SVID.

    `more`: further extensions, each with whether it is critical; one that is there already is there twice then.
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(signer.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + not_before)
        .not_valid_after(now + not_after)
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if uris or dns:
        extensions.append((alternative_names(uris, dns), san_critical))
    if ca is not None:
        extensions.append((x509.BasicConstraints(ca=ca, path_length=None), True))
    if usages is not None:
        extensions.append((key_usage(usages), usage_critical))
    if extended is not None:
        oids = [getattr(ExtendedKeyUsageOID, name) for name in extended]
        extensions.append((x509.ExtendedKeyUsage(oids), False))
    # The builder's own method would refuse the same extension twice.
    made: Any = builder
    made._extensions = [
        x509.Extension(extension.oid, critical, extension) for extension, critical in (*extensions, *more)
    ]
    return builder.sign(signer.key, digest or hashes.SHA256()).public_bytes(Encoding.DER)


def alternative_names(uris: Sequence[str], dns: Sequence[str] = ()) -> x509.SubjectAlternativeName:
    """URI names exactly as given, however malformed, and DNS names."""
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier._init_without_validation(uri) for uri in uris
    ]
    return x509.SubjectAlternativeName([*names, *map(x509.DNSName, dns)])


def key_usage(usages: tuple[str, ...]) -> x509.KeyUsage:
    """The key usage with exactly these bits."""
    return x509.KeyUsage(**{usage: usage in usages for usage in KEY_USAGES})


def _name(subject: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else [])
