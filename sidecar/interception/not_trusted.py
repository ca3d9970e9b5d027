"""Why an application ended the handshake with us: the sentence that saves its owner an afternoon.

A client that does not trust the interception CA says so by an alert, or hangs up. Which alert it is depends on the
TLS library and says little to people, so each becomes a cause and a remedy.
"""

from __future__ import annotations

import ssl

from mesh.reasons import Reason
from sidecar.identity.refused import TlsRefused, explain

REMEDY = (
    "it pins certificates, takes its roots from elsewhere than SSL_CERT_FILE and its like, or was started with "
    "the bundle of an earlier sidecar; make it read the bundle, restart the pod, or do not intercept this host"
)

# Alerts by which clients refuse a certificate (RFC 8446, 6.2), in OpenSSL's spelling.
_DISTRUST = {
    "UNKNOWN_CA": "unknown_ca",  # OpenSSL, Node.js, curl, Java
    "BAD_CERTIFICATE": "bad_certificate",  # Go
    "CERTIFICATE_UNKNOWN": "certificate_unknown",  # Chromium, pinning in many libraries
    "UNSUPPORTED_CERTIFICATE": "unsupported_certificate",
    "CERTIFICATE_REVOKED": "certificate_revoked",
    "CERTIFICATE_EXPIRED": "certificate_expired",
    "ACCESS_DENIED": "access_denied",
}
_NO_COMMON_VERSION = frozenset({"UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW"})
_NO_COMMON_CIPHER = frozenset(
    {"NO_SHARED_CIPHER", "NO_SHARED_SIGNATURE_ALGORITHMS", "NO_SUITABLE_SIGNATURE_ALGORITHM"}
)


def explain_client(error: ssl.SSLError, host: str) -> TlsRefused:
    """What the OpenSSL error of a failed handshake with the application means. `host` is whom it wanted."""
    name = error.reason or ""
    alert = _DISTRUST.get(name.partition("_ALERT_")[2])
    if alert is not None:
        return TlsRefused(
            Reason.INTERCEPTION_NOT_TRUSTED,
            f"the client does not trust the interception CA for {host} (alert {alert}): {REMEDY}",
            by_peer=True,
        )
    if name in _NO_COMMON_VERSION:
        return TlsRefused(Reason.TLS_HANDSHAKE, f"the client of {host} does not speak TLS 1.2 or newer")
    if name in _NO_COMMON_CIPHER:
        return TlsRefused(
            Reason.TLS_HANDSHAKE, f"the client of {host} does not take ECDSA certificates on P-256"
        )
    return explain(error, handshaking=True)


def hung_up(host: str) -> TlsRefused:
    """A client that went away during the handshake, which is how some refuse a certificate."""
    return TlsRefused(
        Reason.INTERCEPTION_NOT_TRUSTED,
        f"the client hung up during the handshake for {host}: if it does so each time, {REMEDY}",
        by_peer=True,
    )


def said_nothing(host: str) -> TlsRefused:
    """A client that closed right after the handshake: Node.js and others look at the certificate only then."""
    return TlsRefused(
        Reason.INTERCEPTION_NOT_TRUSTED,
        f"the client closed its connection to {host} without a request: if it does so each time, {REMEDY}",
        by_peer=True,
    )
