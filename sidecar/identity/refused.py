"""Why a TLS connection did not come to be, or ended: one exception, with a Reason and which side refused.

OpenSSL reports failures as codes and library constants; here they become reasons and sentences.
"""

from __future__ import annotations

import ssl

from mesh.identity.errors import PeerRefused
from mesh.reasons import Reason


class TlsRefused(Exception):
    """A TLS connection was refused.

    `by_peer` tells who ended it: False when we refused the peer or have no identity ourselves, True when the
    peer refused us or went away. `detail` is a sentence about this case.
    """

    def __init__(self, reason: Reason, detail: str, *, by_peer: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.by_peer = by_peer

    @classmethod
    def of(cls, refused: PeerRefused) -> TlsRefused:
        """The same refusal, by our own verification of the peer."""
        return cls(refused.reason, refused.detail)


class TlsTruncated(ConnectionError):
    """The peer's TCP connection ended without close_notify (RFC 8446, 6.1).

    Anyone on the path can cause that, so nothing that ended this way is complete. The peer or the path is at
    fault.
    """


def explain(error: ssl.SSLError, *, handshaking: bool) -> TlsRefused:
    """What an OpenSSL error means, in our reasons."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_refused(error)
    name = error.reason or ""
    if name == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return TlsRefused(Reason.PEER_NO_CERTIFICATE, "the peer sent no certificate")
    if "_ALERT_" in name:
        return _alerted(name.partition("_ALERT_")[2])
    what = "handshake" if handshaking else "connection"
    return TlsRefused(Reason.TLS_HANDSHAKE, _FAULTS.get(name) or f"the TLS {what} failed: {name or error}")


# X509_V_ERR_* of OpenSSL (x509_vfy.h). Anything else about the chain is PEER_UNTRUSTED.
_VERIFY_REASONS = {
    9: Reason.PEER_EXPIRED,  # not yet valid
    10: Reason.PEER_EXPIRED,  # has expired
    26: Reason.PEER_BAD_LEAF,  # unsuitable purpose
    62: Reason.PEER_WRONG_IDENTITY,  # host name mismatch, public TLS only
    64: Reason.PEER_WRONG_IDENTITY,  # IP address mismatch, public TLS only
    66: Reason.PEER_BAD_LEAF,  # the leaf's key is too weak
}

_FAULTS = {
    "UNSUPPORTED_PROTOCOL": "the other side does not speak TLS 1.3",
    "VERSION_TOO_LOW": "the other side does not speak TLS 1.3",
    "WRONG_VERSION_NUMBER": "the other side does not speak TLS",
    "HTTP_REQUEST": "the other side sent a plain HTTP request to a TLS port",
    "HTTPS_PROXY_REQUEST": "the other side sent a plain CONNECT request to a TLS port",
    "RECORD_LAYER_FAILURE": "the other side does not speak TLS",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": "a record was altered on the way",
}

_ALERTS = {
    "PROTOCOL_VERSION": "it does not speak TLS 1.3",
    "UNKNOWN_CA": "it does not trust the authority of our certificate",
    "CERTIFICATE_EXPIRED": "it takes our certificate as expired",
    "CERTIFICATE_REVOKED": "it takes our certificate as revoked",
    "CERTIFICATE_REQUIRED": "it wants a certificate and got none",
    "BAD_CERTIFICATE": "it takes our certificate as malformed",
    "UNSUPPORTED_CERTIFICATE": "our certificate is not of a kind that it accepts",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "ACCESS_DENIED": "it does not let us in",
    "UNRECOGNIZED_NAME": "it does not serve the host name that we asked for",
    "NO_APPLICATION_PROTOCOL": "it speaks no application protocol that we offered",
}


def _certificate_refused(error: ssl.SSLCertVerificationError) -> TlsRefused:
    reason = _VERIFY_REASONS.get(error.verify_code, Reason.PEER_UNTRUSTED)
    return TlsRefused(reason, f"the peer's certificate was not accepted: {error.verify_message}")


def _alerted(alert: str) -> TlsRefused:
    why = _ALERTS.get(alert) or alert.lower().replace("_", " ")
    return TlsRefused(Reason.TLS_HANDSHAKE, f"the peer refused us: {why}", by_peer=True)
