"""The rules are walked with packets, as a kernel does, and what becomes of each is what was promised."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.redirect.rules import (
    Chain,
    Family,
    Plan,
    Protocol,
    Redirect,
    Rule,
    Tracked,
    Verdict,
    plan,
)
from sidecar.redirect.settings import RedirectSettings, Udp, read_settings

SIDECAR = (1774, 1774)
SETTINGS = replace(
    read_settings({}),
    exclude_inbound_ports=(9090,),
    exclude_outbound_ports=(7000, 7001),
    exclude_outbound_cidrs=(ipaddress.ip_network("10.9.0.0/16"), ipaddress.ip_network("fd09::/16")),
    nameservers=(ipaddress.ip_address("10.96.0.10"), ipaddress.ip_address("fd96::10")),
)
POD = {Family.IPV4: "10.1.0.5", Family.IPV6: "fd01::5"}
LOOPBACK = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}
EXCLUDED = {Family.IPV4: "10.9.1.1", Family.IPV6: "fd09::1"}
RESOLVER = {Family.IPV4: "10.96.0.10", Family.IPV6: "fd96::10"}
WORLD = {Family.IPV4: "192.0.2.1", Family.IPV6: "2001:db8::1"}


@dataclass(frozen=True)
class Packet:
    """A packet of a new connection, unless `tracked` says otherwise. `owner` None: the kernel's own."""

    family: Family
    source: str
    target: str
    protocol: Protocol | None = Protocol.TCP
    port: int = 80
    source_port: int = 40000
    owner: tuple[int, int] | None = (1000, 1000)
    loopback: bool = False
    tracked: frozenset[Tracked] = frozenset()
    meant_for: str = "198.18.0.1"


def walk(rules: Plan, chain: Chain, packet: Packet) -> Verdict | Redirect:
    """What the chain does to the packet; RETURN when no rule wants it."""
    for rule in rules[chain]:
        if not matches(rule, packet):
            continue
        if not isinstance(rule.action, Chain):
            return rule.action
        if (action := walk(rules, rule.action, packet)) is not Verdict.RETURN:
            return action
    return Verdict.RETURN


def matches(rule: Rule, packet: Packet) -> bool:
    source, target = ipaddress.ip_address(packet.source), ipaddress.ip_address(packet.target)
    return (
        (rule.protocol in (None, packet.protocol))
        and (not rule.to_ports or packet.port in rule.to_ports)
        and (not rule.from_ports or packet.source_port in rule.from_ports)
        and (rule.to is None or target in rule.to)
        and (rule.not_to is None or target not in rule.not_to)
        and (rule.not_from is None or source not in rule.not_from)
        and rule.loopback_in in (None, packet.loopback)
        and rule.loopback_out in (None, packet.loopback)
        and (rule.tracked is None or rule.tracked in packet.tracked)
        and (rule.meant_for is None or str(rule.meant_for) == packet.meant_for)
        and owned(rule, packet)
    )


def owned(rule: Rule, packet: Packet) -> bool:
    if rule.owner is None:
        return True
    if packet.owner is None:
        return False
    uid, gid = packet.owner
    if rule.owner.others:
        return uid != rule.owner.uid
    return uid == rule.owner.uid and rule.owner.gid in (None, gid)


def leaves(settings: RedirectSettings, packet: Packet) -> bool:
    """Whether a packet of a new connection goes out as it is."""
    rules = plan(settings, packet.family)
    redirected = packet.protocol is Protocol.TCP and isinstance(walk(rules, Chain.OUTBOUND, packet), Redirect)
    return not redirected and walk(rules, Chain.GUARD_OUT, packet) is Verdict.RETURN


families = st.sampled_from(list(Family))
ports = st.one_of(st.integers(1, 65535), st.sampled_from([53, 443, 7000, 9090, 15001, 15002, 15006, 15443]))
owners = st.one_of(
    st.none(),
    st.tuples(st.integers(0, 4_294_967_294), st.integers(0, 4_294_967_294)),
    st.sampled_from([SIDECAR, (1774, 0), (0, 1774)]),
)
protocols = st.sampled_from([*Protocol, None])


@st.composite
def outgoing(draw: st.DrawFn) -> Packet:
    family = draw(families)
    target = draw(st.sampled_from([WORLD[family], EXCLUDED[family], RESOLVER[family]]))
    return Packet(
        family,
        POD[family],
        target,
        protocol=draw(protocols),
        port=draw(ports),
        source_port=draw(ports),
        owner=draw(owners),
    )


@settings(max_examples=600)
@given(outgoing())
def test_only_the_sidecar_and_what_was_excluded_leaves(packet) -> None:
    excluded = packet.target == EXCLUDED[packet.family] or (
        packet.protocol in (Protocol.TCP, Protocol.UDP) and packet.port in (7000, 7001)
    )
    dns = packet.target == RESOLVER[packet.family] and packet.port == 53
    other_udp = packet.protocol is Protocol.UDP and packet.port != 443
    posing = (
        packet.protocol is Protocol.TCP
        and packet.owner is not None
        and packet.owner[0] != 1774
        and packet.source_port in SETTINGS.own_ports
    )
    allowed = (
        packet.owner == SIDECAR
        or packet.protocol is Protocol.ICMP
        or (not posing and (excluded or other_udp or (dns and packet.protocol is Protocol.TCP)))
    )
    assert leaves(SETTINGS, packet) == allowed


@settings(max_examples=600)
@given(outgoing())
def test_closed_udp_leaves_nothing_but_dns_and_exclusions(packet) -> None:
    closed = replace(SETTINGS, udp=Udp.CLOSED)
    if packet.protocol is Protocol.UDP and packet.owner != SIDECAR:
        dns = packet.target == RESOLVER[packet.family] and packet.port == 53
        excluded = packet.target == EXCLUDED[packet.family] or packet.port in (7000, 7001)
        assert leaves(closed, packet) == (dns or excluded)


@given(outgoing())
def test_whatever_leaves_with_redirection_leaves_without_it(packet) -> None:
    """The guard refuses exactly what redirection takes: losing redirection opens nothing."""
    rules = plan(SETTINGS, packet.family)
    if packet.protocol is Protocol.TCP and isinstance(walk(rules, Chain.OUTBOUND, packet), Redirect):
        assert walk(rules, Chain.GUARD_OUT, packet) in (Verdict.RESET, Verdict.DROP)


@given(families, ports, st.booleans())
def test_the_sidecars_own_traffic_never_comes_back_to_its_outbound_port(family, port, own_address) -> None:
    target = POD[family] if own_address else WORLD[family]
    packet = Packet(family, POD[family], target, port=port, owner=SIDECAR, loopback=own_address)
    action = walk(plan(SETTINGS, family), Chain.OUTBOUND, packet)
    expected = own_address and port not in (*SETTINGS.own_ports, 9090)
    assert action == (Redirect(15006) if expected else Verdict.RETURN)


@given(families, ports, owners)
def test_loopback_and_delivery_from_a_loopback_source_are_left_alone(family, port, owner) -> None:
    for target in (LOOPBACK[family], POD[family]):
        packet = Packet(family, LOOPBACK[family], target, port=port, owner=owner, loopback=True)
        assert walk(plan(SETTINGS, family), Chain.OUTBOUND, packet) is Verdict.RETURN
        assert walk(plan(SETTINGS, family), Chain.GUARD_OUT, packet) is Verdict.RETURN


@given(families, st.sampled_from(SETTINGS.own_ports), owners, st.booleans())
def test_only_the_sidecar_answers_on_its_ports_also_on_loopback(family, port, owner, proof) -> None:
    """But for the proof, which has its own listener: what is meant for an address that exists nowhere."""
    answer = Packet(
        family,
        LOOPBACK[family],
        POD[family],
        source_port=port,
        owner=owner,
        loopback=True,
        meant_for=WORLD[family] if proof else "198.18.0.1",
    )
    passes = owner is None or owner[0] == 1774 or (proof and port == SETTINGS.outbound_port)
    action = walk(plan(SETTINGS, family), Chain.GUARD_OUT, answer)
    assert action is (Verdict.RETURN if passes else Verdict.DROP)


def test_without_an_address_for_the_proof_nobody_else_answers() -> None:
    networks = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
    rules = plan(replace(SETTINGS, exclude_outbound_cidrs=networks), Family.IPV4)
    assert not [rule for rule in rules[Chain.GUARD_OUT] if rule.meant_for is not None]


@given(families, ports, protocols, st.sampled_from([frozenset(), frozenset({Tracked.INVALID})]))
def test_what_comes_in_meets_the_sidecar_or_a_refusal(family, port, protocol, tracked) -> None:
    packet = Packet(
        family, WORLD[family], POD[family], protocol=protocol, port=port, owner=None, tracked=tracked
    )
    rules = plan(SETTINGS, family)
    own = port in (15020, 15443) and protocol is Protocol.TCP
    excluded = port == 9090 and protocol in (Protocol.TCP, Protocol.UDP)
    open_to_all = own or excluded or protocol is Protocol.ICMP
    assert (walk(rules, Chain.GUARD_IN, packet) is Verdict.RETURN) == open_to_all
    if protocol is Protocol.TCP:
        taken = walk(rules, Chain.INBOUND, packet)
        assert taken == (Verdict.RETURN if port in (*SETTINGS.own_ports, 9090) else Redirect(15006))


@given(families, st.sampled_from([15001, 15006]), st.booleans())
def test_a_redirect_port_is_reached_by_redirection_only(family, port, loopback) -> None:
    rules = plan(SETTINGS, family)
    packet = Packet(family, POD[family], POD[family], port=port, owner=None, loopback=loopback)
    assert walk(rules, Chain.GUARD_IN, packet) is Verdict.RESET
    redirected = replace(packet, tracked=frozenset({Tracked.REDIRECTED}))
    assert walk(rules, Chain.GUARD_IN, redirected) is Verdict.RETURN


@given(families, ports, protocols)
def test_translation_by_somebody_else_opens_nothing_inbound(family, port, protocol) -> None:
    translated = Packet(
        family,
        WORLD[family],
        POD[family],
        protocol=protocol,
        port=port,
        owner=None,
        tracked=frozenset({Tracked.REDIRECTED}),
    )
    passes = walk(plan(SETTINGS, family), Chain.GUARD_IN, translated) is Verdict.RETURN
    redirected = protocol is Protocol.TCP and port in SETTINGS.redirect_ports
    plain = replace(translated, tracked=frozenset())
    assert passes == (redirected or walk(plan(SETTINGS, family), Chain.GUARD_IN, plain) is Verdict.RETURN)


@given(families, ports, protocols, st.booleans())
def test_a_loopback_address_off_the_loopback_device_is_for_redirected_tcp_only(
    family, port, protocol, redirected
) -> None:
    packet = Packet(
        family,
        POD[family],
        LOOPBACK[family],
        protocol=protocol,
        port=port,
        tracked=frozenset({Tracked.REDIRECTED} if redirected else ()),
    )
    elsewhere = replace(packet, target=WORLD[family], tracked=frozenset())
    rules = plan(SETTINGS, family)
    ours = redirected and protocol is Protocol.TCP and port == SETTINGS.outbound_port
    expected = ours or walk(rules, Chain.GUARD_OUT, elsewhere) is Verdict.RETURN
    assert (walk(rules, Chain.GUARD_OUT, packet) is Verdict.RETURN) == expected


@given(families, ports, protocols)
def test_answers_and_loopback_pass_both_guards(family, port, protocol) -> None:
    rules = plan(SETTINGS, family)
    port = port if port not in SETTINGS.redirect_ports else 80
    answer = Packet(family, WORLD[family], POD[family], protocol=protocol, port=port, owner=None)
    arriving = replace(answer, tracked=frozenset({Tracked.ESTABLISHED}))
    assert walk(rules, Chain.GUARD_IN, arriving) is Verdict.RETURN
    assert walk(rules, Chain.GUARD_IN, replace(answer, loopback=True)) is Verdict.RETURN
    leaving = replace(answer, source=POD[family], target=WORLD[family], tracked=frozenset({Tracked.REPLY}))
    assert walk(rules, Chain.GUARD_OUT, leaving) is Verdict.RETURN


@given(families, st.integers(1, 9000))
def test_a_stray_segment_is_dropped_because_a_reset_would_end_the_connection_it_names(family, port) -> None:
    stray = Packet(
        family, WORLD[family], POD[family], port=port, owner=None, tracked=frozenset({Tracked.INVALID})
    )
    assert walk(plan(SETTINGS, family), Chain.GUARD_IN, stray) is Verdict.DROP


@pytest.mark.parametrize("family", Family)
def test_comments_fit_where_the_tools_keep_them(family) -> None:
    comments = [rule.comment for rules in plan(SETTINGS, family).values() for rule in rules]
    assert all(
        comment.isascii() and len(comment) < 100 and not set(comment) & set("\"'\\") for comment in comments
    )


@pytest.mark.parametrize("family", Family)
def test_networks_of_the_other_ip_version_are_left_out(family) -> None:
    for rules in plan(SETTINGS, family).values():
        for rule in rules:
            for network in (rule.to, rule.not_to, rule.not_from):
                assert network is None or network.version == family.value
