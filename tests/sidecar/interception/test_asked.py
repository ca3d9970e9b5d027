from __future__ import annotations

import pytest

from mesh.protocol.tls.client_hello import ClientHello
from mesh.reasons import Reason
from sidecar.identity.refused import TlsRefused
from sidecar.interception.asked import asked_host

DECLARED = {"192.0.2.1", "2001:db8::1"}


def asked(name: str | None, opened_to: str) -> str:
    return asked_host(ClientHello(name, (), (0x0304,)), opened_to, DECLARED.__contains__)


@pytest.mark.parametrize(
    ("name", "opened_to", "host"),
    [
        ("a.example", "a.example", "a.example"),
        ("a.example", "192.0.2.9", "a.example"),
        ("a.example", "192.0.2.1", "a.example"),
        (None, "192.0.2.1", "192.0.2.1"),
        (None, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_one_host_is_meant(name: str | None, opened_to: str, host: str) -> None:
    assert asked(name, opened_to) == host


@pytest.mark.parametrize(
    ("name", "opened_to", "reason"),
    [
        (None, "a.example", Reason.SERVER_NAME_MISSING),
        (None, "192.0.2.9", Reason.SERVER_NAME_MISSING),
        ("b.example", "a.example", Reason.SERVER_NAME_MISMATCH),
        ("x.a.example", "a.example", Reason.SERVER_NAME_MISMATCH),
    ],
)
def test_two_hosts_or_none_are_refused(name: str | None, opened_to: str, reason: Reason) -> None:
    with pytest.raises(TlsRefused) as caught:
        asked(name, opened_to)
    assert caught.value.reason is reason
    assert opened_to in caught.value.detail
