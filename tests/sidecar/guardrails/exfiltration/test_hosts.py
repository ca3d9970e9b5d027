from __future__ import annotations

import pytest

from sidecar.guardrails.exfiltration.hosts import CATCHERS, allowed, host_of


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.COM/a?b#c", "example.com"),
        ("https://user:pw@example.com:8443/", "example.com"),
        ("//example.com.", "example.com"),
        ("https://[2001:db8::1]:80/x", "2001:db8::1"),
        ("https://example.com\\@other.example/", "example.com"),
        ("no url", ""),
    ],
)
def test_hosts_are_read_from_urls(url: str, host: str) -> None:
    assert host_of(url) == host


def test_hosts_are_allowed_exactly_or_by_suffix() -> None:
    hosts = ("cdn.example.com", "*.corp.example")
    assert allowed("cdn.example.com", hosts)
    assert allowed("a.b.corp.example", hosts)
    assert not allowed("corp.example", hosts)
    assert not allowed("evilcorp.example", hosts)
    assert not allowed("x.cdn.example.com", hosts)
    assert not allowed("example.com", ())


def test_catchers_stand_in_their_table_once() -> None:
    assert len(CATCHERS) == len(set(CATCHERS))
    assert all(host == host.lower() and "." in host for host in CATCHERS)
