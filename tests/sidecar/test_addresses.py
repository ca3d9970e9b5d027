"""Addresses of settings, and which hosts are one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.addresses import is_loopback, is_wildcard, overlap, parse_address, spelled


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a:1", ("a", 1)),
        ("a:0", ("a", 0)),
        ("127.0.0.1:2", ("127.0.0.1", 2)),
        ("[::1]:2", ("::1", 2)),
        ("a", None),
        ("a:70000", None),
        ("a b:1", None),
        (":1", None),
        ("::1:2", None),
        ("[127.0.0.1]:1", None),
        ("[:::]:1", None),
        ("127.1:1", None),
        ("0:1", None),
        ("0x7f000001:1", None),
        ("127.0.0.01:1", None),
        ("10.0.0.256:1", None),
    ],
)
def test_addresses_are_host_and_port(text: str, address: tuple[str, int] | None) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_loopback_is_reached_from_this_machine_only(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "2001:db8::1", "github.svc", "localhost.evil"])
def test_everything_else_is_reached_from_elsewhere(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(("host", "wild"), [("0.0.0.0", True), ("::", True), ("::1", False), ("a", False)])
def test_a_wildcard_takes_every_address(host: str, wild: bool) -> None:
    assert is_wildcard(host) is wild


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::1", False),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("localhost", "::1", True),
        ("localhost", "127.0.0.2", False),
        ("0.0.0.0", "10.0.0.1", True),
        ("0.0.0.0", "::1", True),
        ("::", "localhost", True),
        ("::", "agent.svc", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("Agent.svc", "agent.svc.", True),
        ("a.svc", "b.svc", False),
    ],
)
def test_hosts_overlap_where_they_can_be_one_place(one: str, other: str, same: bool) -> None:
    assert overlap(one, other) is same
    assert overlap(other, one) is same


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_is_read_as_it_is_spelt(host: object, port: int) -> None:
    assert parse_address(spelled((str(host), port))) == (str(host), port)


@given(st.text() | st.from_regex(r"\[?[0-9a-fxA-F:.%]{0,20}\]?:[0-9]{0,6}"))
def test_whatever_is_written_is_an_address_or_is_none(text: str) -> None:
    found = parse_address(text)
    if found is not None:
        host, port = found
        assert overlap(host, host)
        assert 0 <= port <= 65535
        assert parse_address(spelled(found)) == found
