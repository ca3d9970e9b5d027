"""What decides the rules: who is exempt, which ports are whose, what capture leaves alone.

The values come as text, from the environment or from flags under the same names, and every mistake is reported at
once. Nothing is repaired: an exclusion that was read otherwise than it was meant is a hole in the boundary.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from mesh.settings import table
from mesh.settings.kinds import Kind

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Value = TypeVar("Value")

PREFIX: Final = "OUTRIDER_REDIRECT_"
MAX_ID: Final = 2**32 - 2  # the last number is "no one" to the kernel


class Backend(StrEnum):
    """What installs rules. `auto` takes the first of the others that works."""

    AUTO = "auto"
    NFT = "nft"
    IPTABLES_NFT = "iptables-nft"
    IPTABLES_LEGACY = "iptables-legacy"


class Ipv6(StrEnum):
    """Whether IPv6 is captured. `auto`: wherever the kernel has it."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Udp(StrEnum):
    """Which outbound UDP is refused: `quic` port 443 only, `closed` all but DNS to the resolvers."""

    QUIC = "quic"
    CLOSED = "closed"


class SettingsInvalid(Exception):
    """The settings contradict themselves or cannot be read; whoever wrote them is at fault."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectSettings:
    """Everything that the rules depend on. Ports and networks are sorted and without repetition."""

    uid: int
    gid: int
    outbound_port: int
    inbound_port: int
    mtls_port: int
    forward_port: int
    telemetry_port: int
    exclude_inbound_ports: tuple[int, ...] = ()
    exclude_outbound_ports: tuple[int, ...] = ()
    exclude_outbound_cidrs: tuple[Network, ...] = ()
    nameservers: tuple[Address, ...] = ()
    udp: Udp = Udp.QUIC
    ipv6: Ipv6 = Ipv6.AUTO
    backend: Backend = Backend.AUTO

    @property
    def own_ports(self) -> tuple[int, ...]:
        """The ports that the sidecar listens on."""
        ports = (
            self.outbound_port,
            self.inbound_port,
            self.mtls_port,
            self.forward_port,
            self.telemetry_port,
        )
        return tuple(sorted(ports))

    @property
    def open_ports(self) -> tuple[int, ...]:
        """Those of them that other workloads may connect to."""
        return tuple(sorted((self.mtls_port, self.telemetry_port)))

    @property
    def redirect_ports(self) -> tuple[int, ...]:
        """Those of them that only redirected connections may reach."""
        return tuple(sorted((self.outbound_port, self.inbound_port)))


def read_settings(environment: Mapping[str, str]) -> RedirectSettings:
    """The settings in `environment`, defaults from the settings table. Raises SettingsInvalid with every error."""
    errors: list[str] = []
    values: dict[str, object] = {}
    for row in table.of_kind(Kind.REDIRECT_ENV):
        text = environment.get(row.name, "").strip() or row.default
        field = row.name.removeprefix(PREFIX).lower()
        if problem := row.values.problem(text):
            errors.append(f"{row.name}: {text!r} {problem}; allowed: {row.values.allowed}")
            continue
        try:
            values[field] = _READERS[field](text)
        except ValueError as error:
            errors.append(f"{row.name}: {error}")
    if errors:
        raise SettingsInvalid(tuple(errors))
    settings = RedirectSettings(**values)  # type: ignore[arg-type]
    if errors := list(_contradictions(settings)):
        raise SettingsInvalid(tuple(errors))
    return settings


def _contradictions(settings: RedirectSettings) -> list[str]:
    found = []
    if len(set(settings.own_ports)) < len(settings.own_ports):
        found.append(f"the sidecar's ports must differ from each other: {settings.own_ports}")
    closed = sorted({*settings.redirect_ports, settings.forward_port} & set(settings.exclude_inbound_ports))
    if closed:
        found.append(
            f"{PREFIX}EXCLUDE_INBOUND_PORTS: {closed} are the sidecar's own and never open to others"
        )
    return found


def _items(text: str, read: Callable[[str], Value]) -> list[Value]:
    return [read(item.strip()) for item in text.split(",") if item.strip()]


def _identifier(text: str) -> int:
    """A UID or GID that may be exempt; 0 would exempt every container that runs as root."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= MAX_ID):
        raise ValueError(
            f"{text!r} is not a numeric ID from 1 to {MAX_ID}; 0 would exempt every root process"
        )
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError(f"{text!r} is not a port number from 1 to 65535")
    return int(text)


def _ports(text: str) -> tuple[int, ...]:
    return tuple(sorted(set(_items(text, _port))))


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a CIDR block such as 10.0.0.0/8 or fd00::/8: {error}") from error
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{text!r} is IPv4 in IPv6 notation and never on the wire; write the IPv4 block")
    return network


def _networks(text: str) -> tuple[Network, ...]:
    found = _items(text, _network)
    four = [network for network in found if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in found if isinstance(network, ipaddress.IPv6Network)]
    networks: tuple[Network, ...] = (*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six))
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError(f"{text!r} excludes every destination, which switches capture off")
    return networks


def read_address(text: str) -> Address:
    """An address without its zone: rules match what is in the packet."""
    return ipaddress.ip_address(text.partition("%")[0])


def _addresses(text: str) -> tuple[Address, ...]:
    return tuple(sorted(set(_items(text, read_address)), key=lambda address: (address.version, int(address))))


_READERS: Final[dict[str, Callable[[str], object]]] = {
    "uid": _identifier,
    "gid": _identifier,
    "outbound_port": _port,
    "inbound_port": _port,
    "mtls_port": _port,
    "forward_port": _port,
    "telemetry_port": _port,
    "exclude_inbound_ports": _ports,
    "exclude_outbound_ports": _ports,
    "exclude_outbound_cidrs": _networks,
    "nameservers": _addresses,
    "udp": Udp,
    "ipv6": Ipv6,
    "backend": Backend,
}
