"""Which part of the address space an IP address lies in: whether anybody on the Internet could have it.

`egress: allow` means the Internet. What only this machine, this network or this cloud can reach is meant by nobody
who writes it, and is what a server-side request forgery looks for; so everything but public unicast is told apart,
also where it hides in an IPv6 address that carries an IPv4 address. IANA's special-purpose registries (RFC 6890).
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_Network = IPv4Network | IPv6Network


class Space(StrEnum):
    """A part of the address space that is not public."""

    METADATA = "a cloud metadata address"
    LINK_LOCAL = "link-local"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    SHARED = "shared (carrier-grade NAT)"
    UNSPECIFIED = "unspecified"
    MULTICAST = "multicast"
    DOCUMENTATION = "for documentation"
    RESERVED = "reserved"


# The first that holds an address names it. Metadata services stand first: some have an address that is public by
# the registries (Azure's), or that would only be called private.
_IPV4: tuple[tuple[IPv4Network, Space], ...] = tuple(
    (IPv4Network(network), space)
    for network, space in (
        ("169.254.169.254/32", Space.METADATA),
        ("168.63.129.16/32", Space.METADATA),  # Azure: WireServer
        ("100.100.100.200/32", Space.METADATA),  # Alibaba Cloud
        ("192.0.0.192/32", Space.METADATA),  # Oracle Cloud
        ("0.0.0.0/32", Space.UNSPECIFIED),
        ("0.0.0.0/8", Space.RESERVED),  # "this network"
        ("10.0.0.0/8", Space.PRIVATE),
        ("100.64.0.0/10", Space.SHARED),
        ("127.0.0.0/8", Space.LOOPBACK),
        ("169.254.0.0/16", Space.LINK_LOCAL),
        ("172.16.0.0/12", Space.PRIVATE),
        ("192.0.0.0/24", Space.RESERVED),
        ("192.0.2.0/24", Space.DOCUMENTATION),
        ("192.88.99.0/24", Space.RESERVED),  # 6to4 relays
        ("192.168.0.0/16", Space.PRIVATE),
        ("198.18.0.0/15", Space.RESERVED),  # benchmarks
        ("198.51.100.0/24", Space.DOCUMENTATION),
        ("203.0.113.0/24", Space.DOCUMENTATION),
        ("224.0.0.0/4", Space.MULTICAST),
        ("240.0.0.0/4", Space.RESERVED),  # broadcast included
    )
)
_IPV6: tuple[tuple[IPv6Network, Space], ...] = tuple(
    (IPv6Network(network), space)
    for network, space in (
        ("fd00:ec2::/32", Space.METADATA),  # AWS: its services inside a VPC, fd00:ec2::254 among them
        ("fd20:ce::254/128", Space.METADATA),  # Google Cloud
        ("::/128", Space.UNSPECIFIED),
        ("::1/128", Space.LOOPBACK),
        ("64:ff9b:1::/48", Space.PRIVATE),  # local NAT64 (RFC 8215)
        ("fc00::/7", Space.PRIVATE),
        ("fe80::/10", Space.LINK_LOCAL),
        ("fec0::/10", Space.PRIVATE),  # site-local, once
        ("ff00::/8", Space.MULTICAST),
        ("2001:db8::/32", Space.DOCUMENTATION),
        ("3fff::/20", Space.DOCUMENTATION),
        ("2001::/23", Space.RESERVED),  # IETF protocols: Teredo, ORCHID, anycast of the nearest gateway
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")


@lru_cache(maxsize=1024)
def space_of(address: str) -> Space | None:
    """The part of the address space that is not public which `address` lies in; None if it is public.

    A zone (`fe80::1%eth0`) does not count. Raises ValueError for what is no IP address.
    """
    found = ip_address(address.partition("%")[0])
    return _of_ipv4(found) if isinstance(found, IPv4Address) else _of_ipv6(found)


@lru_cache(maxsize=1024)
def space_of_host(host: str) -> Space | None:
    """As `space_of`; None too for a name, whose addresses only a resolver knows."""
    try:
        return space_of(host)
    except ValueError:
        return None


def _of_ipv4(address: IPv4Address) -> Space | None:
    return next((space for network, space in _IPV4 if address in network), None)


def _of_ipv6(address: IPv6Address) -> Space | None:
    named = next((space for network, space in _IPV6 if address in network), None)
    if named is not None:
        return named
    mapped = address.ipv4_mapped or address.sixtofour
    if mapped is not None or address in _NAT64:
        return _of_ipv4(mapped or _last_four(address))
    if address in _COMPATIBLE or address in _TRANSLATED:
        return _of_ipv4(_last_four(address)) or Space.RESERVED
    return None if address in _GLOBAL_UNICAST else Space.RESERVED


def _last_four(address: IPv6Address) -> IPv4Address:
    return IPv4Address(address.packed[-4:])
