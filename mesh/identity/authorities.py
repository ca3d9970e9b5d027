"""Authorities of an operator's own, as PEM text: what is trusted besides the public ones.

Whoever writes them copies files together, so that comments are usual and a private key is a likely mistake. The
text ends up where many can read it; so a key is refused by its name, and comments are left out.
"""

from __future__ import annotations

import warnings
from typing import Final

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from mesh.identity.certificate import MALFORMED
from mesh.identity.errors import IdentityInvalid, PemInvalid
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, read_certificates, write_pem

MAX_AUTHORITIES_BYTES: Final = 64 * 1024
"""They stand in every pod, and in one variable of its sidecar: Linux takes 128 KiB there."""


def read_authorities(text: str) -> str:
    """The certificates of `text` as PEM, each once, and nothing of what stands between them.

    Raises IdentityInvalid where there is none, where one is not whole or cannot be read, for a private key, and
    beyond MAX_AUTHORITIES_BYTES; whoever wrote `text` is at fault. No message holds any of it.
    """
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_AUTHORITIES_BYTES:
        raise PemInvalid(
            f"{len(raw)} bytes, at most {MAX_AUTHORITIES_BYTES}; name the authorities that are needed"
        )
    if f"{PRIVATE_KEY}-----" in text:
        raise PemInvalid(
            "it holds a private key, and everybody who may read pods would have it; write the certificates alone,"
            " and replace that key"
        )
    ders = tuple(dict.fromkeys(read_certificates(raw)))
    for place, der in enumerate(ders, 1):
        _readable(place, der)
    return write_pem(CERTIFICATE, *ders)


def _readable(place: int, der: bytes) -> None:
    try:
        with warnings.catch_warnings():
            # Roots in use have a serial number of 0.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            certificate = x509.load_der_x509_certificate(der)
        _ = (certificate.subject, certificate.extensions)
    except MALFORMED as malformed:
        raise IdentityInvalid(f"certificate {place} cannot be read: {malformed}") from malformed
