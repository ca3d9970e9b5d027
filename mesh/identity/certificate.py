"""Reading certificates that others made: whatever the X.509 library finds wrong becomes one exception."""

from __future__ import annotations

from cryptography import x509

from mesh.identity.errors import IdentityInvalid

# The library raises these for malformed input, each derived from Exception alone.
MALFORMED = (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def load_certificate(der: bytes) -> x509.Certificate:
    """Read a DER certificate, all that identities need of it; raises IdentityInvalid."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        # The library reads these on first use: done here, nobody meets a malformed one later.
        _ = (certificate.extensions, certificate.subject)
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    except MALFORMED as malformed:
        raise IdentityInvalid(f"a certificate cannot be read: {malformed}") from malformed
    return certificate
