from __future__ import annotations

import pytest

from mesh.policy.documents import BackendProtocol, TlsMode
from sidecar.interception.declared import DeclaredHosts
from tests.support.intercepting import backend

HOSTS = DeclaredHosts.of([backend("api.example.com"), backend("192.0.2.1"), backend("*.wild.example")])


@pytest.mark.parametrize("host", ["api.example.com", "192.0.2.1", "a.wild.example"])
def test_what_backends_declare_is_covered(host: str) -> None:
    assert HOSTS.cover(host)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "x.api.example.com",
        "wild.example",
        ".wild.example",
        "a.b.wild.example",
        "192.0.2.2",
        "",
    ],
)
def test_nothing_else_is_covered(host: str) -> None:
    assert not HOSTS.cover(host)


def test_what_cannot_be_inspected_or_would_leave_in_plain_text_is_not_intercepted() -> None:
    hosts = DeclaredHosts.of(
        [
            backend("database.example", BackendProtocol.TCP),
            backend("plain.example", mode=TlsMode.NONE),
            backend("mesh.example", BackendProtocol.HTTP, TlsMode.MESH),
        ]
    )
    assert hosts == DeclaredHosts(frozenset({"mesh.example"}))
    assert hosts
    assert not DeclaredHosts(frozenset())
