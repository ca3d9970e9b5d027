from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.settings.kinds import Kind
from mesh.settings.table import SIDECAR_PORTS, of_kind
from sidecar.redirect.settings import (
    PREFIX,
    Backend,
    Ipv6,
    RedirectSettings,
    SettingsInvalid,
    Udp,
    read_settings,
)


def read(**values: str) -> RedirectSettings:
    return read_settings({PREFIX + name.upper(): value for name, value in values.items()})


def errors(**values: str) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        read(**values)
    return caught.value.errors


def test_defaults_are_those_of_the_settings_table() -> None:
    settings = read()
    assert (settings.uid, settings.gid) == (1774, 1774)
    assert settings.own_ports == tuple(sorted(SIDECAR_PORTS))
    assert settings.open_ports == (15020, 15443)
    assert settings.redirect_ports == (15001, 15006)
    assert (settings.udp, settings.ipv6, settings.backend) == (Udp.QUIC, Ipv6.AUTO, Backend.AUTO)


def test_every_field_has_its_row_in_the_settings_table() -> None:
    rows = {row.name.removeprefix(PREFIX).lower() for row in of_kind(Kind.REDIRECT_ENV)}
    assert rows == {field.name for field in fields(RedirectSettings)}


def test_lists_are_sorted_and_say_everything_once() -> None:
    settings = read(
        exclude_inbound_ports=" 9090 ,80,9090,",
        exclude_outbound_cidrs="10.128.0.0/9,10.0.0.0/9,fd00::/8,fd00::1,192.0.2.1",
        nameservers="fe80::1%eth0, 10.0.0.2,10.0.0.1,10.0.0.2",
    )
    assert settings.exclude_inbound_ports == (80, 9090)
    assert [str(network) for network in settings.exclude_outbound_cidrs] == [
        "10.0.0.0/8",
        "192.0.2.1/32",
        "fd00::/8",
    ]
    assert [str(address) for address in settings.nameservers] == ["10.0.0.1", "10.0.0.2", "fe80::1"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("uid", "0", "would exempt every root process"),
        ("gid", "0", "would exempt every root process"),
        ("uid", "-1", "is not a numeric ID"),
        ("uid", "4294967295", "is not a numeric ID"),
        ("uid", "nobody", "is not a numeric ID"),
        ("outbound_port", "0", "is not a port number"),
        ("outbound_port", "65536", "is not a port number"),
        ("exclude_inbound_ports", "80,http", "'http' is not a port number"),
        ("exclude_outbound_ports", "80;81", "'80;81' is not a port number"),
        ("exclude_outbound_ports", "1-1024", "is not a port number"),
        ("exclude_outbound_ports", "٣", "is not a port number"),
        ("exclude_outbound_cidrs", "10.0.0.1/8", "has host bits set"),
        ("exclude_outbound_cidrs", "10.0.0.0/33", "is not a CIDR block"),
        ("exclude_outbound_cidrs", "10.0.0.0/255.0.0.255", "is not a CIDR block"),
        ("exclude_outbound_cidrs", "example.com", "is not a CIDR block"),
        ("exclude_outbound_cidrs", "0.0.0.0/0", "switches capture off"),
        ("exclude_outbound_cidrs", "::/0", "switches capture off"),
        ("exclude_outbound_cidrs", "::ffff:10.0.0.0/104", "never on the wire"),
        ("nameservers", "10.0.0.0/8", "does not appear to be"),
        ("udp", "all", "is not a known value; allowed: quic or closed"),
        ("ipv6", "yes", "is not a known value"),
        ("backend", "iptables", "is not a known value"),
        ("inbound_port", "15001", "must differ from each other"),
        ("exclude_inbound_ports", "15006", "never open to others"),
        ("exclude_inbound_ports", "15002", "never open to others"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(name, text, says) -> None:
    found = errors(**{name: text})
    assert len(found) == 1
    assert says in found[0]


def test_two_halves_that_exclude_everything_are_refused_like_the_whole() -> None:
    assert "switches capture off" in errors(exclude_outbound_cidrs="0.0.0.0/1,128.0.0.0/1")[0]


def test_all_errors_come_at_once() -> None:
    assert len(errors(uid="0", udp="x", exclude_inbound_ports="x")) == 3


@given(
    st.dictionaries(st.sampled_from([row.name for row in of_kind(Kind.REDIRECT_ENV)]), st.text(max_size=40))
)
def test_any_text_is_read_or_refused(environment) -> None:
    try:
        settings = read_settings(environment)
    except SettingsInvalid:
        return
    assert settings.uid > 0
    assert all(network.prefixlen > 0 for network in settings.exclude_outbound_cidrs)
