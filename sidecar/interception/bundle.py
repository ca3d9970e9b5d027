"""The files that make programs trust the interception CA, beside everything that they trusted before.

Written once, before the application starts, to a volume that it may only read. The public roots are those of this
process's system: the application's image may have none, and its own are out of reach. A library of roots is not
asked for any: it would be one more thing to keep up to date that nobody looks at.
"""

from __future__ import annotations

import os
import re
import ssl
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore
from cryptography.utils import CryptographyDeprecationWarning

from mesh.settings.trust import BUNDLE_FILE, CA_FILE, JAVA_FILE, JAVA_PASSWORD, SYSTEM_ROOTS

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_MODE = 0o644


class RootsInvalid(ValueError):
    """A file of additional roots holds no certificate that can be read; whoever configured it is at fault."""


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """What was written. `source` is where the public roots came from, None when the system has none: programs
    that read the bundle then trust nobody but the interception CA and the additional roots.
    """

    directory: Path
    source: Path | None
    public_roots: int
    additional_roots: int


def write_trust(
    directory: Path,
    authority_pem: str,
    *,
    additional: Path | None = None,
    more: str = "",
    environment: Mapping[str, str],
) -> TrustFiles:
    """Write the CA, the bundle and Java's form of it, each replaced in one step and readable by everybody.

    `additional` is a PEM file of roots that the platform trusts beside the public ones, `more` such roots as PEM
    text; `environment` is this process's own, whose SSL_CERT_FILE wins over the usual places. Raises
    RootsInvalid, and OSError when `directory` cannot be written or `additional` not be read.
    """
    source, public = system_roots(environment)
    named = _additional_roots(additional) if additional is not None else []
    besides = list(dict.fromkeys((*named, *certificates(more))))
    ours = ssl.PEM_cert_to_DER_cert(authority_pem)
    roots = list(dict.fromkeys((*public, *besides, ours)))
    _replace(directory / CA_FILE, authority_pem.encode("ascii"))
    _replace(directory / BUNDLE_FILE, "".join(map(ssl.DER_cert_to_PEM_cert, roots)).encode("ascii"))
    _replace(directory / JAVA_FILE, _java_truststore(roots))
    return TrustFiles(directory, source, len(public), len(besides))


def system_roots(
    environment: Mapping[str, str], places: Iterable[str] = SYSTEM_ROOTS
) -> tuple[Path | None, list[bytes]]:
    """The public roots (DER) and the file they are from: the first of the places that holds any."""
    own = environment.get("SSL_CERT_FILE")
    for place in (*((own,) if own else ()), *places):
        try:
            found = certificates(Path(place).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if found:
            return Path(place), found
    return None, []


def certificates(pem: str) -> list[bytes]:
    """The certificates of a PEM file (DER), each once; comments, keys and what cannot be read are left out."""
    # OpenSSL is the judge: it reads every root in use, some with a serial number of 0, and refuses a whole file
    # for one block that it cannot read.
    judge = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found: dict[bytes, None] = {}
    for block in _CERTIFICATE.findall(pem):
        try:
            der = ssl.PEM_cert_to_DER_cert(block)
            judge.load_verify_locations(cadata=der)
        except (ValueError, ssl.SSLError):
            continue
        found[der] = None
    return list(found)


def _additional_roots(path: Path) -> list[bytes]:
    text = path.read_text(encoding="utf-8", errors="replace")
    found = certificates(text)
    if not found:
        raise RootsInvalid(f"{path} holds no PEM certificate")
    return found


def _java_truststore(roots: list[bytes]) -> bytes:
    with warnings.catch_warnings():
        # Roots with a serial number of 0 again.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        read = [x509.load_der_x509_certificate(der) for der in roots]
    entries = [PKCS12Certificate(root, f"root{place}".encode("ascii")) for place, root in enumerate(read)]
    return serialize_java_truststore(entries, BestAvailableEncryption(JAVA_PASSWORD.encode("ascii")))


def _replace(path: Path, content: bytes) -> None:
    """Programs that start meanwhile find the old file or the new one, never half of one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _MODE)
            file.write(content)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise
