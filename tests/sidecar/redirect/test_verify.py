"""What can be shown without privileges: without rules, each probe fails, and says which one and why."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import replace

import pytest

from sidecar.redirect import verify as module
from sidecar.redirect.rules import Family
from sidecar.redirect.settings import RedirectSettings, Udp, read_settings
from sidecar.redirect.verify import NotRedirected, verify

IPV4 = (Family.IPV4,)


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.fixture
def settings() -> RedirectSettings:
    outbound, inbound = free_ports(2)
    return replace(read_settings({}), outbound_port=outbound, inbound_port=inbound)


@pytest.fixture
def nearby(monkeypatch) -> str:
    """The probe's address is one of this machine, so that the test sends nothing into the world."""
    monkeypatch.setattr(module, "DOCUMENTATION", {Family.IPV4: ("127.0.0.77",), Family.IPV6: ("::1",)})
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.2)
    return "127.0.0.77"


def test_without_rules_the_connection_does_not_arrive(settings, nearby) -> None:
    with pytest.raises(
        NotRedirected, match=r"IPv4 TCP to 127\.0\.0\.77 port 80 did not reach the redirect port"
    ):
        verify(settings, IPV4)


def test_a_connection_that_somebody_else_accepts_is_not_redirected(settings, nearby, monkeypatch) -> None:
    with socket.create_server((nearby, 0)) as somebody:
        monkeypatch.setattr(module, "PROBE_PORTS", (somebody.getsockname()[1],))
        with pytest.raises(NotRedirected, match="was accepted, but not on the redirect port"):
            verify(settings, IPV4)


def test_an_arrival_without_its_destination_is_not_redirected(settings, nearby, monkeypatch) -> None:
    monkeypatch.setattr(module, "DOCUMENTATION", {Family.IPV4: ("127.0.0.1",)})
    monkeypatch.setattr(module, "PROBE_PORTS", (settings.outbound_port,))
    with pytest.raises(NotRedirected, match="with the original destination None"):
        verify(settings, IPV4)


@pytest.fixture
def redirected(nearby, monkeypatch) -> None:
    """TCP works as it should; what remains is to look at the rest."""
    monkeypatch.setattr(module, "_outbound", lambda *_: "TCP reached the redirect port")


def test_a_port_that_can_be_dialled_directly_fails(settings, redirected) -> None:
    with pytest.raises(
        NotRedirected, match=f"IPv4: port {settings.redirect_ports[0]} can be dialled directly"
    ):
        verify(settings, IPV4)


def test_quic_that_nobody_refuses_fails(settings, redirected, monkeypatch) -> None:
    monkeypatch.setattr(module, "_direct_hit", lambda *_: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.77", 0))
        monkeypatch.setattr(module, "HTTPS", server.getsockname()[1])
        with pytest.raises(NotRedirected, match="is not refused: timed out"):
            verify(settings, IPV4)


def test_refused_and_excluded_quic_are_told_apart(settings, redirected, monkeypatch) -> None:
    monkeypatch.setattr(module, "_direct_hit", lambda *_: None)
    assert "QUIC is refused" in verify(settings, IPV4)[0].words  # nobody listens there
    excluded = replace(settings, exclude_outbound_ports=(443,))
    assert "QUIC is excluded" in verify(excluded, IPV4)[0].words
    closed = replace(excluded, udp=Udp.CLOSED)
    assert "QUIC is excluded" in verify(closed, IPV4)[0].words


def test_the_probe_avoids_what_is_excluded(settings, monkeypatch) -> None:
    networks = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
    everything = replace(settings, exclude_outbound_cidrs=networks)
    assert (
        module._address(replace(settings, exclude_outbound_cidrs=networks[:2]), Family.IPV4) == "203.0.113.1"
    )
    with pytest.raises(NotRedirected, match="every IPv4 documentation address is excluded"):
        verify(everything, IPV4)


def test_with_every_probe_port_excluded_nothing_can_be_shown(settings, nearby) -> None:
    with pytest.raises(NotRedirected, match="every probe port is excluded"):
        verify(replace(settings, exclude_outbound_ports=module.PROBE_PORTS), IPV4)


def test_without_a_route_in_any_ip_version_nothing_was_shown(settings, monkeypatch) -> None:
    monkeypatch.setattr(module, "_routed", lambda *_: False)
    with pytest.raises(NotRedirected, match="no route in any IP version"):
        verify(settings, (Family.IPV4, Family.IPV6))


def test_a_routers_answer_is_not_taken_for_a_missing_route(settings, nearby, monkeypatch) -> None:
    """A router that says "host unreachable" has seen the packet: it left."""

    class Unreachable(socket.socket):
        def connect(self, address: object) -> None:
            if self.type == socket.SOCK_STREAM:
                raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(module.socket, "socket", Unreachable)
    with pytest.raises(NotRedirected, match="did not reach the redirect port"):
        verify(settings, IPV4)


def test_a_route_that_cannot_be_asked_for_is_a_failure(settings, nearby, monkeypatch) -> None:
    class Broken(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError(errno.ENOBUFS, "no buffers")

    monkeypatch.setattr(module.socket, "socket", Broken)
    with pytest.raises(NotRedirected, match=r"whether 127\.0\.0\.77 can be reached is unknown"):
        verify(settings, IPV4)


def test_a_redirect_port_that_cannot_be_bound_is_a_failure(settings, nearby, monkeypatch) -> None:
    monkeypatch.setattr(module, "LOOPBACK", {Family.IPV4: "192.0.2.1"})
    with pytest.raises(NotRedirected, match=r"192\.0\.2\.1 port .* cannot be bound"):
        verify(settings, IPV4)


def test_whoever_is_exempt_can_show_nothing(settings) -> None:
    own = replace(settings, uid=os.geteuid(), gid=os.getegid())
    with pytest.raises(NotRedirected, match="run the step as another user"):
        verify(own, IPV4)
