"""`host:port` as settings write it, and which hosts are one place on this machine.

Two spellings of one address must not pass for two addresses: an address is compared as what it means.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = tuple[str, int]
Host = IPv4Address | IPv6Address | str
"""An IP address, or a name in lower case without a trailing dot."""

_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
EVERY_ADDRESS = "*"
"""As the host of a listener: all addresses of the machine, IPv4 and IPv6."""
# Some resolvers read `127.1` or `0` as addresses; what looks like one must be one.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")
_LOCALHOST: frozenset[Host] = frozenset((IPv4Address("127.0.0.1"), IPv6Address("::1")))


def parse_address(value: str) -> Address | None:
    """`name:port`, `IPv4:port` or `[IPv6]:port`, port 0 included; None if it is none of these."""
    match = _ADDRESS.fullmatch(value)
    if match is None or int(match[3]) > 65535:
        return None
    bracketed, bare, port = match.groups()
    host = bracketed or bare
    meant = read_host(host)
    looks_like_ip = bracketed or _NUMERIC_END.fullmatch(host)
    if (looks_like_ip and isinstance(meant, str)) or (bracketed and ":" not in host):
        return None
    return host, int(port)


def spelled(address: Address) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_host(host: str) -> Host:
    """What `host` means; an IPv4-mapped IPv6 address is the IPv4 address that it reaches."""
    try:
        found = ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".")
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


def places(host: str) -> frozenset[Host]:
    """Everything that a listener on `host` binds, as far as that is known without asking a resolver."""
    meant = read_host(host)
    return _LOCALHOST if meant == "localhost" else frozenset((meant,))


def is_loopback(host: str) -> bool:
    """Whether only this machine (in a pod: only its containers) reaches `host`."""
    return all(not isinstance(place, str) and place.is_loopback for place in places(host))


def is_wildcard(host: str) -> bool:
    """Whether a listener on `host` takes every address of the machine: `0.0.0.0`, `::` or `*`."""
    meant = read_host(host)
    return meant == EVERY_ADDRESS or (not isinstance(meant, str) and meant.is_unspecified)


def overlap(one: str, other: str) -> bool:
    """Whether two hosts can be one place. A wildcard overlaps everything, whichever family it is of."""
    return is_wildcard(one) or is_wildcard(other) or bool(places(one) & places(other))
