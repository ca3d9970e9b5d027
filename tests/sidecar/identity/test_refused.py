import ssl

import pytest

from mesh.reasons import Reason
from sidecar.identity.refused import TlsRefused, explain


def certificate_error(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    return error


def library_error(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, "what OpenSSL says")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (9, Reason.PEER_EXPIRED),
        (10, Reason.PEER_EXPIRED),
        (18, Reason.PEER_UNTRUSTED),
        (19, Reason.PEER_UNTRUSTED),
        (20, Reason.PEER_UNTRUSTED),
        (26, Reason.PEER_BAD_LEAF),
        (62, Reason.PEER_WRONG_IDENTITY),
        (64, Reason.PEER_WRONG_IDENTITY),
        (999, Reason.PEER_UNTRUSTED),
    ],
)
def test_a_refused_certificate_has_its_reason(code: int, reason: Reason) -> None:
    refused = explain(certificate_error(code, "as OpenSSL puts it"), handshaking=True)
    assert refused.reason is reason
    assert not refused.by_peer
    assert "as OpenSSL puts it" in refused.detail


@pytest.mark.parametrize(
    ("name", "reason", "by_peer", "detail"),
    [
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", Reason.PEER_NO_CERTIFICATE, False, "no certificate"),
        ("UNSUPPORTED_PROTOCOL", Reason.TLS_HANDSHAKE, False, "does not speak TLS 1.3"),
        ("HTTP_REQUEST", Reason.TLS_HANDSHAKE, False, "plain HTTP request"),
        ("SOMETHING_NEW", Reason.TLS_HANDSHAKE, False, "the TLS handshake failed: SOMETHING_NEW"),
        (None, Reason.TLS_HANDSHAKE, False, "what OpenSSL says"),
        ("TLSV1_ALERT_UNKNOWN_CA", Reason.TLS_HANDSHAKE, True, "does not trust the authority"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Reason.TLS_HANDSHAKE, True, "as expired"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", Reason.TLS_HANDSHAKE, True, "wants a certificate"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", Reason.TLS_HANDSHAKE, True, "does not speak TLS 1.3"),
        ("TLSV1_ALERT_INTERNAL_ERROR", Reason.TLS_HANDSHAKE, True, "refused us: internal error"),
    ],
)
def test_an_error_of_the_library_tells_who_refused_whom(
    name: str | None, reason: Reason, by_peer: bool, detail: str
) -> None:
    refused = explain(library_error(name), handshaking=True)
    assert refused.reason is reason
    assert refused.by_peer is by_peer
    assert detail in refused.detail


def test_an_error_after_the_handshake_speaks_of_the_connection() -> None:
    assert "the TLS connection failed" in explain(library_error("ODD"), handshaking=False).detail


def test_a_refusal_prints_its_reason_and_detail() -> None:
    assert str(TlsRefused(Reason.NO_SVID, "none yet")) == "no_svid: none yet"
