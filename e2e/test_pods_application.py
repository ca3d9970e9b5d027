"""What the application can reach by itself in a pod with a sidecar: loopback, its own pod and the sidecar.

Its sockets are opened by its own user. Whatever it dials arrives at the sidecar or is refused at once.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from e2e.attacks import MESH_FIRST, says, says_in_tls, tool_call
from e2e.frames import tcp_opened
from e2e.meshed_pods import LOOP_PORTS, VERSIONS, MeshedPods, marker
from e2e.plugs import APPLICATION, SIDECAR, bound, dialled, family

LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1"}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def address(pods: MeshedPods, version: str) -> str:
    return str(getattr(pods.net["server"], version))


@pytest.mark.parametrize("port", [9000, 9001, 15443, 15006, 15001])
def test_a_peer_dialled_by_address_is_only_reached_as_the_policy_says(
    pods: MeshedPods, address: str, port: int
) -> None:
    """The application may dial what it likes: it talks to its own sidecar, which knows no such destination."""
    words = marker("dialled")
    with pods.net.capture(pods.net["client"]) as wire:
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        answer = says(pods.net["client"], address, port, tool_call(words, host))
        assert not tcp_opened(wire.frames())
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert body["error"]["data"]["reason"] == "egress_denied"


@pytest.mark.parametrize("port", [9000, 15443])
def test_tls_to_a_peer_is_not_the_applications_to_make(pods: MeshedPods, address: str, port: int) -> None:
    """Not even with an identity that the peer would accept, had it been stolen."""
    identity = pods.authority.identity("ns/agents/sa/client")
    with pods.net.capture(pods.net["client"]) as wire:
        found = says_in_tls(
            pods.net["client"], address, port, tool_call("tls"), alpn=MESH_FIRST, identity=identity
        )
        assert not tcp_opened(wire.frames())
    assert found == "TLSV1_ALERT_ACCESS_DENIED"


def test_a_name_in_host_leads_where_it_means_and_not_where_was_dialled(
    pods: MeshedPods, version: str
) -> None:
    """Dialling the attacker and naming the server reaches the server, with mutual TLS."""
    words = marker("named")
    attacker = getattr(pods.net["attacker"], version)
    with pods.net.capture(pods.net["attacker"]) as wire:
        answer = says(pods.net["client"], attacker, 9000, tool_call(words, f"server.{version}.test:9000"))
        assert not tcp_opened(wire.frames())
    assert words[::-1].encode() in answer


@pytest.mark.parametrize("port", [15001, 15006])
def test_the_capture_ports_cannot_be_dialled(pods: MeshedPods, version: str, port: int) -> None:
    client = pods.net["client"]
    for host in (LOOPBACK[version], getattr(client, version)):
        with pytest.raises(ConnectionRefusedError):
            with dialled(client, host, port):
                pass


def test_the_forward_proxy_decides_like_capture(pods: MeshedPods, version: str) -> None:
    """15002 is there for applications that are told of it; it is no way around."""
    words = marker("forward")
    client = pods.net["client"]
    for host, reason in ((f"attacker.{version}.test", "egress_denied"),):
        request = tool_call(words, f"{host}:9000").replace(b"POST /", f"POST http://{host}:9000/".encode())
        answer = says(client, "127.0.0.1", 15002, request)
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["data"]["reason"] == reason
    tunnel = says(
        client, "127.0.0.1", 15002, f"CONNECT {host}:9000 HTTP/1.1\r\nHost: {host}:9000\r\n\r\n".encode()
    )
    assert tunnel.startswith(b"HTTP/1.1 403 ")


def test_quic_is_refused_fast(pods: MeshedPods, address: str) -> None:
    with bound(pods.net["server"], address, 443) as server, pods.net.capture(pods.net["client"]) as wire:
        started = time.monotonic()
        with dialled(pods.net["client"], address, 443, kind=socket.SOCK_DGRAM) as client:
            with contextlib.suppress(PermissionError):
                client.send(b"quic initial")
            with pytest.raises(ConnectionRefusedError):
                client.recv(100)
        assert time.monotonic() - started < 1
        assert not wire.saw(b"quic initial")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(100)


@pytest.mark.parametrize("uid", [0, APPLICATION, SIDECAR])
def test_having_only_the_sidecars_user_or_only_its_group_exempts_nobody(
    pods: MeshedPods, address: str, uid: int
) -> None:
    words = marker("uid")
    gid = SIDECAR if uid != SIDECAR else APPLICATION
    with pods.net.capture(pods.net["client"]) as wire:
        with dialled(pods.net["client"], address, 9000, uid=uid, gid=gid) as connection:
            connection.sendall(tool_call(words, f"[{address}]:9000" if ":" in address else f"{address}:9000"))
            assert b"egress_denied" in connection.recv(65536)
        assert not tcp_opened(wire.frames())


@pytest.fixture
def raw(pods: MeshedPods, version: str) -> Iterator[socket.socket]:
    def make() -> socket.socket:
        return socket.socket(family(LOOPBACK[version]), socket.SOCK_RAW, socket.IPPROTO_TCP)

    with pods.net["client"].inside(make, uid=APPLICATION) as made:
        yield made


def test_a_raw_socket_of_the_application_writes_nothing_on_the_wire(
    pods: MeshedPods, raw: socket.socket, address: str
) -> None:
    """Even with NET_RAW, which a container should not have."""
    words = marker("raw").encode()
    segment = b"\x13\x88\x23\x28" + bytes(8) + b"\x50\x18\x04\x00" + bytes(4) + words
    with pods.net.capture(pods.net["client"]) as wire:
        with contextlib.suppress(OSError):
            raw.sendto(segment, (address, 0))
        assert not wire.saw(words)


def test_a_process_of_the_application_without_privileges_cannot_become_the_sidecar(pods: MeshedPods) -> None:
    script = (
        "import os\n"
        "for change in (os.setuid, os.setgid, os.seteuid, os.setegid):\n"
        " try: change(1774)\n"
        " except PermissionError: print('refused')\n"
    )
    done = pods.net["client"].run([sys.executable, "-c", script], uid=APPLICATION)
    assert done.stdout.split() == ["refused"] * 4


# Loops.


@pytest.mark.parametrize("port", LOOP_PORTS)
@pytest.mark.parametrize("tls", ["Mesh", "None"])
def test_what_leads_to_the_pod_itself_does_not_go_round(
    pods: MeshedPods, version: str, port: int, tls: str
) -> None:
    """Own addresses with ports of the sidecar and with one of nobody, declared as a Backend: it ends, and soon."""
    host = f"loop-{tls.lower()}.{version}.test"
    started = time.monotonic()
    with pods.net.capture(pods.net["client"]) as wire:
        answer = says(pods.net["client"], pods.net["server"].ipv4, port, tool_call("loop", f"{host}:{port}"))
        assert not tcp_opened(wire.frames())
    assert time.monotonic() - started < 2
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert "error" in body or body["reason"] == "plain_text_refused"
    assert pods.client.metric("outrider_connections") < 20
