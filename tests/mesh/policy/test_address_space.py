"""Addresses that anybody on the Internet could have, and all others."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.address_space import Space, space_of, space_of_host

NAT64 = IPv6Network("64:ff9b::/96")

# Half of what is drawn lies close to a border of some registered network.
SPECIAL = [
    "0.0.0.0", "10.0.0.0", "100.64.0.0", "100.128.0.0", "127.0.0.0", "168.63.129.16", "169.254.169.254",
    "172.16.0.0", "172.32.0.0", "192.0.0.0", "192.0.2.0", "192.88.99.0", "192.168.0.0", "198.18.0.0",
    "198.51.100.0", "203.0.113.0", "224.0.0.0", "240.0.0.0", "255.255.255.255",
]  # fmt: skip
SPECIAL_V6 = [
    "::", "::1", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::", "100::", "2000::", "2001::",
    "2001:200::", "2001:db8::", "2001:db9::", "2002::", "2003::", "3fff::", "3fff:1000::", "4000::", "5f00::",
    "fc00::", "fd00:ec2::254", "fe80::", "fec0::", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]  # fmt: skip


def near(texts: list[str], bits: int) -> st.SearchStrategy[int]:
    steps = st.integers(-3, 3)
    return st.builds(lambda text, by: (int(ip_address(text)) + by) % 2**bits, st.sampled_from(texts), steps)


IPV4 = st.builds(IPv4Address, st.integers(0, 2**32 - 1) | near(SPECIAL, 32))
IPV6 = st.builds(IPv6Address, st.integers(0, 2**128 - 1) | near(SPECIAL_V6, 128))


@pytest.mark.parametrize(
    ("address", "space"),
    [
        ("93.184.216.34", None),
        ("1.1.1.1", None),
        ("2606:2800:220:1::1", None),
        ("2a00:1450::1", None),
        ("100.63.255.255", None),
        ("100.128.0.0", None),
        ("172.15.255.255", None),
        ("172.32.0.0", None),
        ("223.255.255.255", None),
        ("169.254.169.254", Space.METADATA),
        ("168.63.129.16", Space.METADATA),
        ("100.100.100.200", Space.METADATA),
        ("192.0.0.192", Space.METADATA),
        ("fd00:ec2::254", Space.METADATA),
        ("fd00:ec2::23", Space.METADATA),
        ("fd20:ce::254", Space.METADATA),
        ("169.254.20.10", Space.LINK_LOCAL),
        ("fe80::1", Space.LINK_LOCAL),
        ("fe80::1%eth0", Space.LINK_LOCAL),
        ("127.0.0.1", Space.LOOPBACK),
        ("127.255.255.255", Space.LOOPBACK),
        ("::1", Space.LOOPBACK),
        ("10.96.0.7", Space.PRIVATE),
        ("172.16.0.1", Space.PRIVATE),
        ("172.31.255.255", Space.PRIVATE),
        ("192.168.1.1", Space.PRIVATE),
        ("fd12:3456::1", Space.PRIVATE),
        ("fec0::1", Space.PRIVATE),
        ("100.64.0.1", Space.SHARED),
        ("0.0.0.0", Space.UNSPECIFIED),
        ("::", Space.UNSPECIFIED),
        ("0.1.2.3", Space.RESERVED),
        ("255.255.255.255", Space.RESERVED),
        ("198.18.0.1", Space.RESERVED),
        ("192.88.99.1", Space.RESERVED),
        ("224.0.0.1", Space.MULTICAST),
        ("ff02::1", Space.MULTICAST),
        ("192.0.2.1", Space.DOCUMENTATION),
        ("198.51.100.1", Space.DOCUMENTATION),
        ("203.0.113.1", Space.DOCUMENTATION),
        ("2001:db8::1", Space.DOCUMENTATION),
        ("3fff::1", Space.DOCUMENTATION),
        # An IPv4 address inside.
        ("::ffff:10.0.0.1", Space.PRIVATE),
        ("::ffff:169.254.169.254", Space.METADATA),
        ("::ffff:1.1.1.1", None),
        ("64:ff9b::a9fe:a9fe", Space.METADATA),
        ("64:ff9b::7f00:1", Space.LOOPBACK),
        ("64:ff9b::101:101", None),
        ("64:ff9b:1::101:101", Space.PRIVATE),
        ("2002:a00:1::1", Space.PRIVATE),
        ("2002:a9fe:a9fe::", Space.METADATA),
        ("2002:101:101::1", None),
        ("::10.0.0.1", Space.PRIVATE),
        ("::1.1.1.1", Space.RESERVED),
        ("::ffff:0:169.254.169.254", Space.METADATA),
        ("::ffff:0:1.1.1.1", Space.RESERVED),
        ("2001:0:101:101::1", Space.RESERVED),
        ("100::1", Space.RESERVED),
        ("5f00::1", Space.RESERVED),
    ],
)
def test_each_part_of_the_address_space_is_told_apart(address: str, space: Space | None) -> None:
    assert space_of(address) is space


@given(IPV4 | IPV6)
def test_what_counts_as_public_the_standard_library_calls_global_too(
    address: IPv4Address | IPv6Address,
) -> None:
    if space_of(str(address)) is not None:
        return
    inner = address.ipv4_mapped or address.sixtofour if isinstance(address, IPv6Address) else None
    if isinstance(address, IPv6Address) and (inner is not None or address in NAT64):
        assert space_of(str(inner or IPv4Address(address.packed[-4:]))) is None
        return
    assert address.is_global
    assert not any((address.is_multicast, address.is_reserved, address.is_unspecified))


@given(IPV4 | IPV6)
def test_nothing_that_the_standard_library_calls_special_is_public(
    address: IPv4Address | IPv6Address,
) -> None:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or not address.is_global
    )
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped
    if special and not mapped and not (isinstance(address, IPv6Address) and address in NAT64):
        assert space_of(str(address)) is not None


@given(IPV4)
def test_an_ipv4_address_is_the_same_inside_an_ipv6_address(address: IPv4Address) -> None:
    number, space = int(address), space_of(str(address))
    carried = [
        0xFFFF << 32 | number,
        int(IPv6Address("64:ff9b::")) | number,
        0x2002 << 112 | number << 80 | 1,
    ]
    assert [space_of(str(IPv6Address(outer))) for outer in carried] == [space] * 3


@pytest.mark.parametrize("host", ["example.com", "localhost", "", "10.0.0", "[::1]", "1.1.1.1:80", "0x7f.1"])
def test_a_name_lies_nowhere_until_it_is_resolved(host: str) -> None:
    assert space_of_host(host) is None
    with pytest.raises(ValueError, match="does not appear"):
        space_of(host)


def test_a_host_that_is_an_address_is_one() -> None:
    assert space_of_host("10.0.0.1") is Space.PRIVATE
    assert space_of_host("1.1.1.1") is None
