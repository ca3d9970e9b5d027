"""Reading certificates that others made: whatever the X.509 library finds wrong becomes one exception."""

from __future__ import annotations

import warnings

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from mesh.identity.errors import IdentityInvalid

# The library raises these for malformed input, each derived from Exception alone.
MALFORMED = (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def load_certificate(der: bytes) -> x509.Certificate:
    """Read a DER certificate, all that identities need of it; raises IdentityInvalid."""
    try:
        with warnings.catch_warnings():
            # What the library still reads with a warning (a serial number that is not positive) breaks RFC 5280.
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            certificate = x509.load_der_x509_certificate(der)
        # The library reads these on first use: done here, nobody meets a malformed one later.
        _ = (certificate.extensions, certificate.subject)
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    except (*MALFORMED, CryptographyDeprecationWarning) as malformed:
        raise IdentityInvalid(f"a certificate cannot be read: {malformed}") from malformed
    return certificate
