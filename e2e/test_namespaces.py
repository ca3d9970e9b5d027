"""The network that other tests stand on: pods reach each other, and a capture finds what is there to find."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from e2e.conftest import skip
from e2e.namespaces import NAMESPACES, Network, missing, network
from e2e.plugs import dialled, listening


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    if reason := missing():
        skip("network namespaces", reason)
    with network("one", "two") as built:
        yield built


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_a_capture_finds_text_that_segments_cut_in_two(net, version) -> None:
    one, two = net["one"], net["two"]
    with net.capture(one) as wire, listening(two, "::", 9000) as listener:
        with dialled(one, getattr(two, version), 9000) as client, listener.accept() as server:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in (b"a secret that ", b"is cut", b" in three"):
                client.sendall(part)
                assert server.recv(100) == part
            server.sendall(b"an answer in one")
            assert client.recv(100) == b"an answer in one"
        assert wire.saw(b"secret that is cut in three")
        assert wire.saw(b"an answer in one")
        assert not wire.saw(b"what nobody sent")


def test_a_capture_sees_its_own_link_only(net) -> None:
    one, two = net["one"], net["two"]
    with net.capture(one) as wire, listening(two, "127.0.0.1", 9000) as listener:
        with dialled(two, "127.0.0.1", 9000) as client, listener.accept():
            client.sendall(b"never on a wire")
        assert not wire.saw(b"never on a wire")


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_a_service_leads_to_its_pod(net, version) -> None:
    address = {"ipv4": "10.96.0.1", "ipv6": "fd96::1"}[version]
    net.service(address, 80, net["two"], 9000)
    for client in (net["one"], net["two"]):
        with listening(net["two"], "::", 9000) as listener, dialled(client, address, 80):
            listener.accept().close()


def test_a_program_runs_as_its_user_with_its_capabilities(net) -> None:
    script = "import os; print(os.getuid(), os.getgid(), os.getgroups())"
    assert net["one"].run([sys.executable, "-c", script], uid=1000).stdout.split("\n")[0] == "1000 1000 []"
    raw = "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"
    assert net["one"].run([sys.executable, "-c", raw], uid=1000).returncode == 1
    assert net["one"].run([sys.executable, "-c", raw], uid=1000, capabilities=("net_raw",)).returncode == 0


def test_processes_and_namespaces_end_with_the_network(net) -> None:
    with network("short") as lived:
        process = lived["short"].start(["sleep", "600"], uid=1000)
        names = [lived["short"].namespace, lived.bridge.namespace]
        assert all((NAMESPACES / name).exists() for name in names)
    assert process.returncode is not None
    assert not any((NAMESPACES / name).exists() for name in names)


def test_work_inside_a_pod_leaves_this_thread_where_it_was(net) -> None:
    before = os.stat("/proc/thread-self/ns/net").st_ino
    assert net["one"].inside(lambda: os.stat("/proc/thread-self/ns/net").st_ino) != before
    assert os.stat("/proc/thread-self/ns/net").st_ino == before
    with pytest.raises(ZeroDivisionError):
        net["one"].inside(lambda: 1 // 0)
