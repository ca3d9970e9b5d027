from __future__ import annotations

import ssl

import pytest

from mesh.protocol.tls.alert import Alert, fatal_alert, refusal
from mesh.reasons import Reason


def error_of_client(answer: bytes) -> str | None:
    context = ssl.create_default_context()
    incoming = ssl.MemoryBIO()
    client = context.wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(answer)
    with pytest.raises(ssl.SSLError) as caught:
        client.do_handshake()
    return caught.value.reason


@pytest.mark.parametrize(
    ("reason", "understood"),
    [
        (Reason.EGRESS_DENIED, "TLSV1_ALERT_ACCESS_DENIED"),
        (Reason.BACKEND_NOT_GRANTED, "TLSV1_ALERT_ACCESS_DENIED"),
        (Reason.SERVER_NAME_MISSING, "TLSV13_ALERT_MISSING_EXTENSION"),
        (Reason.SERVER_NAME_INVALID, "SSLV3_ALERT_ILLEGAL_PARAMETER"),
        (Reason.SERVER_NAME_MISMATCH, "TLSV1_UNRECOGNIZED_NAME"),
        (Reason.INTERCEPTION_UNAVAILABLE, "TLSV1_UNRECOGNIZED_NAME"),
        (Reason.CLIENT_HELLO_MALFORMED, "TLSV1_ALERT_DECODE_ERROR"),
        (Reason.UPSTREAM_UNREACHABLE, "TLSV1_ALERT_INTERNAL_ERROR"),
    ],
)
def test_a_client_reads_in_the_alert_why_it_is_refused(reason: Reason, understood: str) -> None:
    assert error_of_client(refusal(reason)) == understood


def test_who_speaks_no_tls_gets_no_alert() -> None:
    assert refusal(Reason.NOT_TLS) == b""


def test_an_alert_is_one_fatal_record() -> None:
    assert fatal_alert(Alert.UNRECOGNIZED_NAME) == bytes.fromhex("15 0303 0002 02 70")
