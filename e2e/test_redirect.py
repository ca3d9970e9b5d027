"""Redirection in real namespaces: what the rules do to packets, with every backend and both IP versions.

`agent` is the pod with rules; `peer` stands for the rest of the world and is the agent's resolver too; `friend` is
excluded by its address; `stranger` wants in.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from e2e.conftest import skip
from e2e.frames import tcp_flows
from e2e.namespaces import IPV4, IPV6, Network, Pod, missing, network
from e2e.plugs import APPLICATION, SIDECAR, Listener, bound, dialled, listening
from sidecar.capture.original_destination import original_destination

BACKENDS = ("nft", "iptables-nft", "iptables-legacy")
OUTBOUND, FORWARD, INBOUND, MTLS, TELEMETRY = 15001, 15002, 15006, 15443, 15020
EXCLUDED_PORTS = range(7000, 7017)  # more than one multiport match holds
SETTINGS = {
    "OUTRIDER_REDIRECT_EXCLUDE_INBOUND_PORTS": "9090",
    "OUTRIDER_REDIRECT_EXCLUDE_OUTBOUND_PORTS": ",".join(map(str, EXCLUDED_PORTS)),
    "OUTRIDER_REDIRECT_NAMESERVERS": f"{IPV4.format(3)},{IPV6.format(3)}",
    "OUTRIDER_REDIRECT_EXCLUDE_OUTBOUND_CIDRS": f"{IPV4.format(4)}/32,{IPV6.format(4)}/128",
}
IPPROTO_MPTCP, IPPROTO_UDPLITE, TCP_FASTOPEN_CONNECT = 262, 136, 30
ANY = {"ipv4": "0.0.0.0", "ipv6": "::"}
LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1"}
NOWHERE = {"ipv4": "192.0.2.77", "ipv6": "2001:db8::77"}
SERVICE = {"ipv4": "10.96.0.10", "ipv6": "fd96::10"}


def redirect(pod: Pod, verb: str, *flags: str, **who: object) -> subprocess.CompletedProcess[str]:
    return pod.run([sys.executable, "-m", "sidecar.redirect", verb, *flags], env=SETTINGS, **who)


@pytest.fixture(scope="module")
def tools() -> None:
    if reason := missing():
        skip("redirection in network namespaces", reason)


def usable(backend: str, pod: Pod) -> None:
    """Skip where this machine has not got the backend."""
    tried = pod.run(["nft", "list", "tables"] if backend == "nft" else [f"{backend}-save", "-t", "nat"])
    if tried.returncode:
        skip(f"the backend {backend}", tried.stderr.strip())


@pytest.fixture(scope="module", params=BACKENDS)
def net(request: pytest.FixtureRequest, tools: None) -> Iterator[Network]:
    with network("agent", "peer", "friend", "stranger") as built:
        try:
            usable(request.param, built["stranger"])
        except FileNotFoundError as error:
            skip(f"the backend {request.param}", error)
        done = redirect(built["agent"], "install", "--backend", request.param)
        assert done.returncode == 0, done.stderr
        yield built


@pytest.fixture(params=["ipv4", "ipv6"])
def version(request: pytest.FixtureRequest) -> str:
    return request.param


def address(pod: Pod, version: str) -> str:
    return getattr(pod, version)


def accepted(listener: Listener) -> tuple[str, int] | None:
    with listener.accept() as connection:
        return original_destination(connection)


# Outbound.


@pytest.mark.parametrize("port", [80, 443, 15443, 65535])
def test_outbound_tcp_arrives_at_the_sidecar_with_where_it_was_meant_to_go(net, version, port) -> None:
    agent = net["agent"]
    for host in (NOWHERE[version], address(net["peer"], version), SERVICE[version]):
        with listening(agent, LOOPBACK[version], OUTBOUND, uid=SIDECAR) as sidecar:
            with dialled(agent, host, port):
                assert accepted(sidecar) == (host, port)


def test_a_redirected_connection_carries_data_both_ways_and_nothing_leaves_the_pod(net, version) -> None:
    agent, peer = net["agent"], net["peer"]
    with net.capture(agent) as wire, listening(agent, LOOPBACK[version], OUTBOUND, uid=SIDECAR) as sidecar:
        with dialled(agent, address(peer, version), 80) as application:
            with sidecar.accept() as connection:
                application.sendall(b"in plain text")
                assert connection.recv(100) == b"in plain text"
                connection.sendall(b"answer")
                assert application.recv(100) == b"answer"
        assert not wire.saw(b"in plain text")
        assert not wire.saw(b"answer")


def test_a_dual_stack_listener_knows_an_ipv4_destination(net) -> None:
    with listening(net["agent"], "::", OUTBOUND, uid=SIDECAR) as sidecar:
        with dialled(net["agent"], NOWHERE["ipv4"], 80):
            assert accepted(sidecar) == (NOWHERE["ipv4"], 80)


def test_two_connections_from_one_local_port_keep_their_own_destinations(net, version) -> None:
    agent = net["agent"]
    reuse = ((socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),)
    own = (address(agent, version), 41234)
    with listening(agent, LOOPBACK[version], OUTBOUND, uid=SIDECAR) as sidecar:
        with dialled(agent, NOWHERE[version], 80, source=own, options=reuse):
            first = accepted(sidecar)
            with dialled(agent, NOWHERE[version], 81, source=own, options=reuse):
                assert [first, accepted(sidecar)] == [(NOWHERE[version], 80), (NOWHERE[version], 81)]


@pytest.mark.parametrize(
    ("uid", "gid"), [(0, 0), (APPLICATION, SIDECAR), (SIDECAR, APPLICATION), (65534, 65534)]
)
def test_who_shares_only_one_of_uid_and_gid_is_redirected(net, version, uid, gid) -> None:
    with listening(net["agent"], LOOPBACK[version], OUTBOUND, uid=SIDECAR) as sidecar:
        with dialled(net["agent"], NOWHERE[version], 80, uid=uid, gid=gid):
            assert accepted(sidecar) == (NOWHERE[version], 80)


def test_the_sidecar_itself_leaves_directly(net, version) -> None:
    host = address(net["peer"], version)
    with listening(net["peer"], ANY[version], 8080) as listener:
        with dialled(net["agent"], host, 8080, uid=SIDECAR, gid=SIDECAR):
            with listener.accept() as connection:
                assert connection.getpeername()[0] == address(net["agent"], version)


def test_multipath_tcp_is_tcp(net, version) -> None:
    with listening(net["agent"], LOOPBACK[version], OUTBOUND, uid=SIDECAR) as sidecar:
        try:
            with dialled(net["agent"], NOWHERE[version], 80, protocol=IPPROTO_MPTCP):
                assert accepted(sidecar) == (NOWHERE[version], 80)
        except OSError as error:
            if error.errno not in (errno.EPROTONOSUPPORT, errno.ENOPROTOOPT):
                raise
            pytest.skip("this kernel has no multipath TCP")


def test_data_in_the_first_packet_does_not_leave(net, version) -> None:
    agent, peer = net["agent"], net["peer"]
    fast_open = ((socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1),)
    with net.capture(agent) as wire, listening(agent, LOOPBACK[version], OUTBOUND, uid=SIDECAR) as sidecar:
        with dialled(agent, address(peer, version), 8080, options=fast_open) as client:
            client.sendall(b"at once")
            with sidecar.accept() as connection:
                assert connection.recv(100) == b"at once"
                assert original_destination(connection) == (address(peer, version), 8080)
        assert not wire.saw(b"at once")


def test_a_mark_changes_nothing(net, version) -> None:
    mark = ((socket.SOL_SOCKET, socket.SO_MARK, 0x539),)
    with listening(net["agent"], LOOPBACK[version], OUTBOUND, uid=SIDECAR) as sidecar:
        with dialled(net["agent"], NOWHERE[version], 80, uid=0, options=mark):
            assert accepted(sidecar) == (NOWHERE[version], 80)


def test_a_socket_tied_to_the_device_does_not_get_out(net, version) -> None:
    agent, peer = net["agent"], net["peer"]
    tied = ((socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0"),)
    with net.capture(agent) as wire, listening(peer, ANY[version], 8080) as listener:
        with pytest.raises((OSError, TimeoutError)):
            with dialled(agent, address(peer, version), 8080, options=tied, seconds=0.5):
                listener.accept(0.5)
        assert not {flow for flow in tcp_flows(wire.frames()) if flow[3] == 8080}


@pytest.mark.parametrize("protocol", [socket.IPPROTO_UDP, IPPROTO_UDPLITE], ids=["udp", "udplite"])
def test_a_datagram_tied_to_the_device_does_not_leave_for_a_loopback_address(net, version, protocol) -> None:
    agent = net["agent"]
    tied = ((socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0"),)
    with net.capture(agent) as wire:
        with contextlib.suppress(OSError):  # no such protocol here, or no route: it does not leave either
            with dialled(
                agent, LOOPBACK[version], 443, kind=socket.SOCK_DGRAM, protocol=protocol, options=tied
            ) as client:
                with contextlib.suppress(OSError):  # refused on its way out
                    client.send(b"way out")
        assert not wire.saw(b"way out")


def test_ipv6_link_local_does_not_get_around(net) -> None:
    agent, peer = net["agent"], net["peer"]
    local = peer.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"]).stdout.split()[3]
    scope = agent.inside(lambda: socket.if_nametoindex("eth0"))
    target = f"{local.partition('/')[0]}%{scope}"
    with net.capture(agent) as wire, listening(peer, "::", 8080) as listener:
        with pytest.raises((OSError, TimeoutError)):
            with dialled(agent, target, 8080, seconds=0.5):
                listener.accept(0.5)
        assert not {flow for flow in tcp_flows(wire.frames()) if flow[3] == 8080}


def test_excluded_ports_and_destinations_are_left_alone(net, version) -> None:
    agent, peer, friend = net["agent"], net["peer"], net["friend"]
    for target, port in [*((peer, port) for port in EXCLUDED_PORTS), (friend, 80), (friend, 443)]:
        with listening(target, ANY[version], port) as listener:
            with dialled(agent, address(target, version), port):
                listener.accept().close()


def test_dns_goes_to_the_resolver_over_tcp_and_to_anyone_over_udp(net, version) -> None:
    agent, peer, stranger = net["agent"], net["peer"], net["stranger"]
    with listening(peer, ANY[version], 53) as listener:
        with dialled(agent, address(peer, version), 53):
            listener.accept().close()
    for resolver in (peer, stranger):
        with bound(resolver, ANY[version], 53) as server:
            with dialled(agent, address(resolver, version), 53, kind=socket.SOCK_DGRAM) as client:
                client.send(b"question")
                question, client_address = server.recvfrom(100)
                server.sendto(b"answer", client_address)
                assert (question, client.recv(100)) == (b"question", b"answer")


def test_tcp_on_port_53_of_anybody_else_is_no_dns(net, version) -> None:
    host = address(net["stranger"], version)
    with listening(net["agent"], LOOPBACK[version], OUTBOUND, uid=SIDECAR) as sidecar:
        with dialled(net["agent"], host, 53):
            assert accepted(sidecar) == (host, 53)


def test_quic_is_refused_at_once_except_from_the_sidecar(net, version) -> None:
    agent, peer = net["agent"], net["peer"]
    with bound(peer, ANY[version], 443) as server:
        started = time.monotonic()
        with dialled(agent, address(peer, version), 443, kind=socket.SOCK_DGRAM) as client:
            with contextlib.suppress(PermissionError):
                client.send(b"initial")
            with pytest.raises(ConnectionRefusedError):
                client.recv(100)
        assert time.monotonic() - started < 1
        with dialled(
            agent, address(peer, version), 443, uid=SIDECAR, gid=SIDECAR, kind=socket.SOCK_DGRAM
        ) as client:
            client.send(b"from the sidecar")
            assert server.recv(100) == b"from the sidecar"


@pytest.mark.parametrize("protocol", [33, 47, 132, 136], ids=["dccp", "gre", "sctp", "udplite"])
def test_no_other_protocol_leaves(net, version, protocol) -> None:
    agent, peer = net["agent"], net["peer"]

    def send() -> None:
        family = socket.AF_INET6 if version == "ipv6" else socket.AF_INET
        with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
            with contextlib.suppress(OSError):  # a packet that is refused on its way out may say so
                raw.sendto(b"\0\1\0\2way out", (address(peer, version), 0))

    with net.capture(agent) as wire:
        agent.inside(send, uid=APPLICATION)
        assert not wire.saw(b"way out")


def test_a_forged_tcp_packet_does_not_leave(net) -> None:
    agent, peer = net["agent"], net["peer"]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for flags in (0x02, 0x10, 0x18, 0x01, 0x00, 0x03, 0x3F):
                with contextlib.suppress(OSError):
                    raw.sendto(tcp_packet(agent.ipv4, peer.ipv4, 5555, 8080, flags), (peer.ipv4, 0))

    with net.capture(agent) as wire:
        agent.inside(send, uid=APPLICATION)
        assert not {flow for flow in tcp_flows(wire.frames()) if flow[2] == peer.ipv4}


# Inbound.


@pytest.mark.parametrize("port", [80, 9000, 65535])
def test_inbound_tcp_arrives_at_the_sidecar_on_every_port(net, version, port) -> None:
    agent = net["agent"]
    host = address(agent, version)
    with (
        listening(agent, ANY[version], INBOUND, uid=SIDECAR) as sidecar,
        listening(agent, ANY[version], port),
    ):
        with dialled(net["stranger"], host, port):
            assert accepted(sidecar) == (host, port)


@pytest.mark.parametrize("port", [OUTBOUND, INBOUND, FORWARD])
def test_nobody_dials_a_port_of_the_sidecar_that_is_not_for_others(net, version, port) -> None:
    agent = net["agent"]
    with listening(agent, ANY[version], port, uid=SIDECAR):
        with pytest.raises(ConnectionRefusedError):
            with dialled(net["stranger"], address(agent, version), port, uid=SIDECAR, gid=SIDECAR):
                pass


@pytest.mark.parametrize("port", [OUTBOUND, INBOUND])
def test_the_application_does_not_dial_a_redirect_port(net, version, port) -> None:
    agent = net["agent"]
    with listening(agent, ANY[version], port, uid=SIDECAR):
        for host in (LOOPBACK[version], address(agent, version)):
            with pytest.raises(ConnectionRefusedError):
                with dialled(agent, host, port):
                    pass


@pytest.mark.parametrize("port", [MTLS, TELEMETRY, 9090])
def test_open_and_excluded_ports_are_reached_as_they_are(net, version, port) -> None:
    agent = net["agent"]
    with listening(agent, ANY[version], port, uid=SIDECAR if port != 9090 else APPLICATION) as listener:
        with dialled(net["stranger"], address(agent, version), port) as stranger:
            with listener.accept() as connection:
                connection.sendall(b"hello")
                assert stranger.recv(100) == b"hello"


def test_udp_from_outside_is_refused_but_for_excluded_ports(net, version) -> None:
    agent = net["agent"]
    with bound(agent, ANY[version], 4444) as closed, bound(agent, ANY[version], 9090) as open_to_all:
        with dialled(net["stranger"], address(agent, version), 4444, kind=socket.SOCK_DGRAM) as stranger:
            stranger.send(b"hello")
            with pytest.raises(ConnectionRefusedError):
                stranger.recv(100)
        with dialled(net["stranger"], address(agent, version), 9090, kind=socket.SOCK_DGRAM) as stranger:
            stranger.send(b"hello")
            assert open_to_all.recv(100) == b"hello"
        closed.setblocking(False)
        with pytest.raises(BlockingIOError):
            closed.recv(100)


def test_packets_of_no_connection_reach_no_application(net) -> None:
    agent, stranger = net["agent"], net["stranger"]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for flags in range(64):
                raw.sendto(tcp_packet(stranger.ipv4, agent.ipv4, 5000 + flags, 9000, flags), (agent.ipv4, 0))

    with listening(agent, "0.0.0.0", 9000) as application, net.capture(agent) as wire:
        stranger.inside(send)
        with pytest.raises(TimeoutError):
            application.accept(0.2)
        # Where anything answers it is a reset: a segment with SYN and ACK would open a connection.
        assert not [frame for frame in wire.frames() if opens(frame, agent.ipv4)]


def test_an_application_that_takes_a_port_of_the_sidecar_answers_nobody(net, version) -> None:
    agent, stranger = net["agent"], net["stranger"]
    for port in (INBOUND, MTLS, TELEMETRY):
        with listening(agent, ANY[version], port, uid=APPLICATION):
            with pytest.raises((TimeoutError, ConnectionRefusedError)):
                with dialled(
                    stranger, address(agent, version), 9000 if port == INBOUND else port, seconds=0.5
                ):
                    pass


def test_an_application_that_takes_a_port_of_the_sidecar_gets_nothing_of_its_pod_either(net, version) -> None:
    agent, peer = net["agent"], net["peer"]
    own = ((LOOPBACK[version], port) for port in (FORWARD, MTLS, TELEMETRY))
    for host, port in ((NOWHERE[version], 80), (address(peer, version), 443), *own):
        taken = OUTBOUND if host != LOOPBACK[version] else port
        with listening(agent, ANY[version], taken, uid=APPLICATION) as taker:
            with pytest.raises(TimeoutError):
                with dialled(agent, host, port, uid=APPLICATION + 1, seconds=0.3):
                    pass
            with pytest.raises(TimeoutError):
                taker.accept(0.1)


def test_without_a_sidecar_nothing_passes_in_either_direction(net, version) -> None:
    agent, peer = net["agent"], net["peer"]
    with net.capture(agent) as wire:
        with listening(peer, ANY[version], 8080), listening(agent, ANY[version], 9000):
            with pytest.raises(ConnectionRefusedError):
                with dialled(agent, address(peer, version), 8080):
                    pass
            with pytest.raises(ConnectionRefusedError):
                with dialled(peer, address(agent, version), 9000):
                    pass
        assert not {flow for flow in tcp_flows(wire.frames()) if flow[3] == 8080}


# The pod and itself.


def test_loopback_and_the_pods_own_address_are_left_to_the_application(net, version) -> None:
    agent = net["agent"]
    for host in (LOOPBACK[version], address(agent, version)):
        with listening(agent, ANY[version], 9000) as listener:
            with dialled(agent, host, 9000):
                listener.accept().close()


def test_what_the_sidecar_sends_to_its_own_pod_is_treated_as_inbound(net, version) -> None:
    agent = net["agent"]
    host = address(agent, version)
    with (
        listening(agent, ANY[version], INBOUND, uid=SIDECAR) as sidecar,
        listening(agent, ANY[version], 9000),
    ):
        with dialled(agent, host, 9000, uid=SIDECAR, gid=SIDECAR):
            assert accepted(sidecar) == (host, 9000)


def test_the_sidecar_delivers_from_a_loopback_source_without_meeting_itself(net, version) -> None:
    agent = net["agent"]
    sidecar = {"uid": SIDECAR, "gid": SIDECAR}
    for host, source in ((LOOPBACK[version], None), (address(agent, version), (LOOPBACK[version], 0))):
        with listening(agent, host, 9000) as application:
            with dialled(agent, host, 9000, source=source, **sidecar) as connection:
                with application.accept() as served:
                    served.sendall(b"served")
                    assert connection.recv(100) == b"served"


def test_a_call_to_the_own_service_goes_out_through_the_sidecar_and_comes_back_in(net, version) -> None:
    agent = net["agent"]
    net.service(SERVICE[version], 80, agent, 9000)
    with (
        listening(agent, LOOPBACK[version], OUTBOUND, uid=SIDECAR) as outbound,
        listening(agent, ANY[version], INBOUND, uid=SIDECAR) as inbound,
        dialled(agent, SERVICE[version], 80),
    ):
        assert accepted(outbound) == (SERVICE[version], 80)
        with dialled(agent, SERVICE[version], 80, uid=SIDECAR, gid=SIDECAR):
            assert accepted(inbound) == (address(agent, version), 9000)


def tcp_packet(source: str, target: str, source_port: int, port: int, flags: int) -> bytes:
    """An IPv4 packet with a TCP segment that nobody's connection knows, with a right checksum."""
    segment = struct.pack("!HHIIBBHHH", source_port, port, 1, 1, 0x50, flags, 1024, 0, 0) + b"way out!"
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!HH", 6, len(segment))
    total = sum(struct.unpack(f"!{(len(pseudo) + len(segment)) // 2}H", pseudo + segment))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    segment = segment[:16] + struct.pack("!H", checksum) + segment[18:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 7, 0, 64, 6, 0)
    return header + socket.inet_aton(source) + socket.inet_aton(target) + segment


def opens(frame: bytes, source: str) -> bool:
    """Whether this is an IPv4 TCP segment from `source` with SYN and ACK."""
    ipv4_tcp = frame[12:14] == b"\x08\0" and frame[23] == 6
    return ipv4_tcp and frame[26:30] == socket.inet_aton(source) and frame[47] & 0x12 == 0x12
