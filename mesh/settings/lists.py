"""Settings that hold several values, separated by commas: ports, blocks of addresses, names.

Read here once, so that admission refuses what the step that installs redirection would refuse: a pod that is
turned away says why to its author, one that never starts only to its log.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from mesh.settings.values import Port

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# What every version of Kubernetes takes for the name of an environment variable.
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
# A DNS subdomain (RFC 1123), which never holds a slash, nor two dots in a row.
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SECRET = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class PortList:
    """TCP and UDP port numbers."""

    @property
    def allowed(self) -> str:
        return "port numbers, comma separated"

    def problem(self, text: str) -> str | None:
        wrong = [item for item in items(text) if Port().problem(item)]
        return f"has what is no port number from 1 to 65535: {', '.join(wrong)}" if wrong else None

    def read(self, text: str) -> frozenset[int]:
        """The ports of a text without `problem`."""
        return frozenset(map(int, items(text)))


@dataclass(frozen=True, slots=True)
class CidrList:
    """Blocks of IPv4 and IPv6 addresses, none of which adds up to every address there is."""

    @property
    def allowed(self) -> str:
        return "CIDR blocks, comma separated"

    def problem(self, text: str) -> str | None:
        wrong = [item for item in items(text) if _network(item) is None]
        if wrong:
            return f"has what is no CIDR block such as 10.0.0.0/8 or fd00::/8: {', '.join(wrong)}"
        if any(network.prefixlen == 0 for network in self.read(text)):
            return "excludes every destination, which switches capture off"
        return None

    def read(self, text: str) -> tuple[Network, ...]:
        """The blocks of a text without faulty items, as few as hold the same addresses."""
        found = [network for item in items(text) if (network := _network(item)) is not None]
        four = [network for network in found if isinstance(network, ipaddress.IPv4Network)]
        six = [network for network in found if isinstance(network, ipaddress.IPv6Network)]
        return (*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six))


@dataclass(frozen=True, slots=True)
class VariableList:
    """Names of environment variables."""

    @property
    def allowed(self) -> str:
        return "names of environment variables, comma separated"

    def problem(self, text: str) -> str | None:
        wrong = [item for item in items(text) if not _VARIABLE.fullmatch(item)]
        return f"has what is no name of an environment variable: {', '.join(wrong)}" if wrong else None


@dataclass(frozen=True, slots=True)
class SecretList:
    """Names of Secrets, at most `most` of them."""

    most: int

    @property
    def allowed(self) -> str:
        return f"names of Secrets, comma separated, at most {self.most}"

    def problem(self, text: str) -> str | None:
        named = list(dict.fromkeys(items(text)))
        wrong = [item for item in named if not _SECRET.fullmatch(item)]
        if wrong:
            return f"has what is no name of a Secret: {', '.join(wrong)}"
        return f"names {len(named)} Secrets" if len(named) > self.most else None


def items(text: str) -> list[str]:
    """The items of a list as it is written; empty ones say nothing."""
    return [item.strip() for item in text.split(",") if item.strip()]


def beyond(values: PortList | CidrList, text: str, granted: str) -> list[str]:
    """What of `text` is not in `granted`, both without `problem`."""
    if isinstance(values, PortList):
        return [str(port) for port in sorted(values.read(text) - values.read(granted))]
    around = values.read(granted)
    return [str(network) for network in values.read(text) if not any(_within(network, one) for one in around)]


def _within(network: Network, other: Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return network.subnet_of(other)
    if isinstance(network, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return network.subnet_of(other)
    return False


def _network(text: str) -> Network | None:
    """A block, or None: also for IPv4 in IPv6 notation, which is never on the wire, and for one with a zone
    (`fe80::%eth0/64`), which rules would leave out and which may be any text.
    """
    if "%" in text:
        return None
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        return None
    return network
