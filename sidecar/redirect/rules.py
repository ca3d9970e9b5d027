"""The rules, once, in no tool's language: what is redirected, what is left alone, what is refused.

Two chains redirect (table nat, which sees the first packet of each connection) and two guard (table filter, which
sees every packet). The guards make the boundary hold by itself: what redirection did not take, for whatever
reason, is refused, in both directions. No rule looks at packet marks, which an application may set.

Outbound, in this order: the sidecar is exempt by UID and GID together, since a process that shares only one of
them is not the sidecar; loopback stays in the pod and is left alone; TCP to the pod's own resolvers on port 53 is
DNS; then what the settings exclude; the rest goes to the sidecar. One exception comes first: what the sidecar
sends to the pod's own address is a call of the pod to itself, and is treated as inbound, so that it meets mutual
TLS. The sidecar delivers to an application that listens on the pod's address only from a loopback source, which
the exception does not match: otherwise delivery would come back to the sidecar for ever.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from sidecar.redirect.settings import Address, Network, RedirectSettings, Udp

DNS: Final = 53
HTTPS: Final = 443


class Family(Enum):
    """An IP version: its loopback block, and its name for ICMP."""

    IPV4 = 4
    IPV6 = 6

    @property
    def loopback(self) -> Network:
        return ipaddress.ip_network("127.0.0.0/8" if self is Family.IPV4 else "::1/128")

    @property
    def title(self) -> str:
        return f"IPv{self.value}"


class Verdict(StrEnum):
    """What becomes of a packet that a rule matches, apart from redirection."""

    RETURN = "return"  # left alone by this chain; other chains of the pod still see it
    RESET = "reset"  # refused with a TCP reset
    UNREACHABLE = "unreachable"  # refused with "port unreachable", so that the sender knows at once
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Redirect:
    """To this port of the pod itself; the original destination stays known to the kernel."""

    port: int


class Protocol(StrEnum):
    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"  # ICMPv6 in IPv6


class Tracked(StrEnum):
    """What connection tracking knows of a packet."""

    ESTABLISHED = "established"
    REPLY = "reply"  # against the direction of the first packet; resets made by a rule are "related"
    REDIRECTED = "redirected"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Owner:
    """The process behind a packet; with `others`, any but that UID's. Packets of no process match neither."""

    uid: int
    gid: int | None = None
    others: bool = False


class Chain(StrEnum):
    """Our chains, each called from one hook."""

    GUARD_IN = "guard_in"
    GUARD_OUT = "guard_out"
    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """All that is set must match. `loopback_in` and `loopback_out`: True only `lo`, False all but `lo`."""

    comment: str
    action: Verdict | Redirect | Chain
    protocol: Protocol | None = None
    to_ports: tuple[int, ...] = ()
    from_ports: tuple[int, ...] = ()
    to: Network | None = None
    not_to: Network | None = None
    not_from: Network | None = None
    loopback_in: bool | None = None
    loopback_out: bool | None = None
    owner: Owner | None = None
    tracked: Tracked | None = None
    meant_for: Address | None = None  # the connection's destination before any translation


Plan = dict[Chain, tuple[Rule, ...]]

# Addresses that exist nowhere (RFC 5737, RFC 3849, RFC 9637), to prove redirection with.
DOCUMENTATION: Final = {
    Family.IPV4: ("192.0.2.1", "198.51.100.1", "203.0.113.1"),
    Family.IPV6: ("2001:db8::1", "3fff::1"),
}

# What calls a chain: only TCP is redirected, and loopback never is on its way in.
ENTRIES: Final[dict[Chain, Rule]] = {
    Chain.GUARD_IN: Rule(comment="guard what comes in", action=Chain.GUARD_IN),
    Chain.GUARD_OUT: Rule(comment="guard what goes out", action=Chain.GUARD_OUT),
    Chain.INBOUND: Rule(
        comment="redirect what comes in", action=Chain.INBOUND, protocol=Protocol.TCP, loopback_in=False
    ),
    Chain.OUTBOUND: Rule(comment="redirect what goes out", action=Chain.OUTBOUND, protocol=Protocol.TCP),
}


def plan(settings: RedirectSettings, family: Family) -> Plan:
    """The rules of one IP version, by chain, in the order in which they are tried."""
    return {
        Chain.GUARD_IN: _guard_in(settings),
        Chain.GUARD_OUT: _guard_out(settings, family),
        Chain.INBOUND: _inbound(settings),
        Chain.OUTBOUND: _outbound(settings, family),
    }


def _inbound(settings: RedirectSettings) -> tuple[Rule, ...]:
    return (
        Rule(
            comment="own ports of the sidecar",
            action=Verdict.RETURN,
            protocol=Protocol.TCP,
            to_ports=settings.own_ports,
        ),
        *_ports("excluded inbound ports", settings.exclude_inbound_ports, Protocol.TCP),
        Rule(
            comment="all other TCP to the sidecar",
            action=Redirect(settings.inbound_port),
            protocol=Protocol.TCP,
        ),
    )


def _outbound(settings: RedirectSettings, family: Family) -> tuple[Rule, ...]:
    loopback = family.loopback
    return (
        Rule(
            comment="the sidecar calls its own pod: as inbound",
            action=Chain.INBOUND,
            protocol=Protocol.TCP,
            loopback_out=True,
            not_to=loopback,
            not_from=loopback,
            owner=_sidecar(settings),
        ),
        Rule(comment="the sidecar itself", action=Verdict.RETURN, owner=_sidecar(settings)),
        Rule(comment="loopback stays in the pod", action=Verdict.RETURN, loopback_out=True),
        *_resolvers(settings, family, Protocol.TCP),
        *_ports("excluded outbound ports", settings.exclude_outbound_ports, Protocol.TCP),
        *_destinations(settings, family),
        Rule(
            comment="all other TCP to the sidecar",
            action=Redirect(settings.outbound_port),
            protocol=Protocol.TCP,
        ),
    )


def _guard_in(settings: RedirectSettings) -> tuple[Rule, ...]:
    tcp, udp = Protocol.TCP, Protocol.UDP
    excluded = settings.exclude_inbound_ports
    return (
        # Not whatever was translated: somebody else's rule may have been first, and to another port.
        Rule(
            comment="redirected to the sidecar",
            action=Verdict.RETURN,
            protocol=tcp,
            to_ports=settings.redirect_ports,
            tracked=Tracked.REDIRECTED,
        ),
        Rule(
            comment="a direct hit on a redirect port",
            action=Verdict.RESET,
            protocol=tcp,
            to_ports=settings.redirect_ports,
        ),
        Rule(comment="loopback stays in the pod", action=Verdict.RETURN, loopback_in=True),
        Rule(comment="answers", action=Verdict.RETURN, tracked=Tracked.ESTABLISHED),
        Rule(
            comment="mutual TLS and telemetry",
            action=Verdict.RETURN,
            protocol=tcp,
            to_ports=settings.open_ports,
        ),
        *_ports("excluded inbound ports", excluded, tcp),
        *_ports("excluded inbound ports", excluded, udp),
        Rule(comment="ICMP", action=Verdict.RETURN, protocol=Protocol.ICMP),
        # A reset would end the connection that a stray packet claims to belong to.
        Rule(comment="TCP of no connection", action=Verdict.DROP, protocol=tcp, tracked=Tracked.INVALID),
        Rule(comment="TCP that was not redirected", action=Verdict.RESET, protocol=tcp),
        Rule(comment="UDP from outside", action=Verdict.UNREACHABLE, protocol=udp),
        Rule(comment="all other protocols", action=Verdict.DROP),
    )


def _guard_out(settings: RedirectSettings, family: Family) -> tuple[Rule, ...]:
    tcp, udp = Protocol.TCP, Protocol.UDP
    excluded = settings.exclude_outbound_ports
    return (
        Rule(comment="the sidecar itself", action=Verdict.RETURN, owner=_sidecar(settings)),
        *_proof(settings, family),
        # Before loopback: whoever takes a port while the sidecar is away would be the sidecar to the whole pod.
        Rule(
            comment="only the sidecar answers on its ports",
            action=Verdict.DROP,
            protocol=tcp,
            from_ports=settings.own_ports,
            owner=Owner(settings.uid, others=True),
        ),
        Rule(comment="loopback stays in the pod", action=Verdict.RETURN, loopback_out=True),
        # On their way to the loopback device; a socket tied to another one would leave through it.
        Rule(
            comment="redirected to the sidecar",
            action=Verdict.RETURN,
            protocol=tcp,
            to=family.loopback,
            to_ports=(settings.outbound_port,),
            tracked=Tracked.REDIRECTED,
        ),
        Rule(comment="answers", action=Verdict.RETURN, tracked=Tracked.REPLY),
        *_resolvers(settings, family, tcp),
        *_resolvers(settings, family, udp),
        *_ports("excluded outbound ports", excluded, tcp),
        *_ports("excluded outbound ports", excluded, udp),
        *_destinations(settings, family),
        Rule(comment="ICMP", action=Verdict.RETURN, protocol=Protocol.ICMP),
        *_udp(settings),
        Rule(comment="TCP that was not redirected", action=Verdict.RESET, protocol=tcp),
        Rule(comment="all other protocols", action=Verdict.UNREACHABLE),
    )


def _proof(settings: RedirectSettings, family: Family) -> tuple[Rule, ...]:
    """The one listener that is not the sidecar's and may answer: for connections to where nobody is."""
    address = first_captured(settings, DOCUMENTATION[family])
    if address is None:
        return ()
    return (
        Rule(
            comment="the proof of redirection",
            action=Verdict.RETURN,
            protocol=Protocol.TCP,
            from_ports=(settings.outbound_port,),
            loopback_out=True,
            meant_for=address,
        ),
    )


def first_captured(settings: RedirectSettings, candidates: tuple[str, ...]) -> Address | None:
    """The first of these addresses that no exclusion covers and that is no resolver."""
    for address in map(ipaddress.ip_address, candidates):
        excluded = any(
            network.version == address.version and address in network
            for network in settings.exclude_outbound_cidrs
        )
        if not excluded and address not in settings.nameservers:
            return address
    return None


def _udp(settings: RedirectSettings) -> tuple[Rule, ...]:
    udp = Protocol.UDP
    if settings.udp is Udp.CLOSED:
        return (Rule(comment="UDP is closed", action=Verdict.UNREACHABLE, protocol=udp),)
    return (
        Rule(
            comment="QUIC: clients fall back to TCP",
            action=Verdict.UNREACHABLE,
            protocol=udp,
            to_ports=(HTTPS,),
        ),
        Rule(comment="other UDP is not captured", action=Verdict.RETURN, protocol=udp),
    )


def _sidecar(settings: RedirectSettings) -> Owner:
    return Owner(settings.uid, settings.gid)


def _ports(comment: str, ports: tuple[int, ...], protocol: Protocol) -> tuple[Rule, ...]:
    if not ports:
        return ()
    return (Rule(comment=comment, action=Verdict.RETURN, protocol=protocol, to_ports=ports),)


def _resolvers(settings: RedirectSettings, family: Family, protocol: Protocol) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            comment="DNS to a resolver of the pod",
            action=Verdict.RETURN,
            protocol=protocol,
            to=ipaddress.ip_network(address),
            to_ports=(DNS,),
        )
        for address in settings.nameservers
        if address.version == family.value
    )


def _destinations(settings: RedirectSettings, family: Family) -> tuple[Rule, ...]:
    return tuple(
        Rule(comment="excluded destination", action=Verdict.RETURN, to=network)
        for network in settings.exclude_outbound_cidrs
        if network.version == family.value
    )
