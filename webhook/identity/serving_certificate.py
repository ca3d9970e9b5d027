"""A certificate to serve HTTPS with, where nobody provides one: made once, with a root that clients pin."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from mesh.identity.ca import CLOCK_SKEW, authority_name, key_usage, make_authority
from mesh.identity.issue import host_name
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, write_pem

CERT_FILE, KEY_FILE, ROOT_FILE = "tls.crt", "tls.key", "root.pem"


def make_serving_files(folder: Path, names: Sequence[str], now: datetime, lifetime: timedelta) -> None:
    """Write tls.crt, tls.key (0600) and root.pem into `folder` for a server that is called by `names`.

    The root's own key is thrown away: it vouches for this one certificate. Raises OSError.
    """
    root = make_authority("serving.invalid", now, lifetime)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(authority_name(names[0]))
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([host_name(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False
        )
        .sign(root.key, hashes.SHA256())
    )
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    _write(folder / KEY_FILE, write_pem(PRIVATE_KEY, pkcs8), 0o600)
    _write(folder / CERT_FILE, write_pem(CERTIFICATE, certificate.public_bytes(Encoding.DER)), 0o644)
    _write(folder / ROOT_FILE, write_pem(CERTIFICATE, root.der), 0o644)


def _write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never readable by more than `mode` says."""
    unfinished = path.with_name(path.name + ".new")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    unfinished.replace(path)
