"""Each way in which the control plane gives nothing has a cause and a sentence."""

from __future__ import annotations

import ssl

import pytest

from mesh.identity.issuance import STATUS, Refusal, RefusedAnswer, write_document
from mesh.protocol.http1.target import absolute_form
from sidecar.control.failed import CallFailed, Cause, explained, refused

SERVER = absolute_form(b"https://control:15012")


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_of_the_control_plane_has_a_cause_and_a_sentence(refusal: Refusal) -> None:
    body = write_document(RefusedAnswer(refusal.value, "because\nof this", retry_after_seconds=7))
    failed = refused(STATUS[refusal], body)
    assert failed.cause is Cause(refusal.value)
    assert failed.detail.startswith("the control plane ")
    assert failed.detail.endswith(": because of this")
    assert failed.retry_after == 7


def test_a_refusal_of_a_later_version_is_told_by_its_status() -> None:
    failed = refused(418, write_document(RefusedAnswer("teapot", "x")))
    assert failed.cause is Cause.MALFORMED
    assert "418" in failed.detail


def alerted(reason: str) -> CallFailed:
    error = ssl.SSLError(1, "")
    error.reason = reason
    with pytest.raises(CallFailed) as failed, explained(SERVER, 1.0):
        raise error
    return failed.value


@pytest.mark.parametrize(
    "reason",
    ["TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_EXPIRED", "SSLV3_ALERT_CERTIFICATE_UNKNOWN"],
)
def test_an_alert_about_our_certificate_is_a_refusal_of_our_svid(reason: str) -> None:
    failed = alerted(reason)
    assert failed.cause is Cause.CERTIFICATE_REFUSED
    assert "refuses our SVID" in failed.detail


def test_any_other_alert_is_a_fault_of_the_connection() -> None:
    assert alerted("TLSV1_ALERT_PROTOCOL_VERSION").cause is Cause.UNREACHABLE
    assert alerted("WRONG_VERSION_NUMBER").cause is Cause.UNREACHABLE
