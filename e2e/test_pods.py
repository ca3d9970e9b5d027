"""Capture between real programs: unmodified SDK clients and servers, with mutual TLS where they see plain HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.attacks import says_in_tls, tool_call
from e2e.frames import tcp_flows, tcp_opened
from e2e.meshed_pods import CLIENT_ID, STRANGER_ID, VERSIONS, MeshedPods, marker
from e2e.plugs import Listener, listening
from e2e.pods import Agent, BackwardsServer, configured

RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1"}
ERAS = ["v1", "legacy", "auto"]
TLS_RECORD = b"\x17\x03\x03"  # application data in TLS 1.2 or 1.3


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("era", ERAS)
def test_a_client_that_knows_nothing_is_filtered_by_both_sides(
    pods: MeshedPods, version: str, era: str
) -> None:
    words = marker("granted")
    found = pods.agent(era=era).calls(
        f"http://server.{version}.test:9000/mcp",
        ("granted", words),
        ("forbidden", words),
        ("forbidden_here", words),
        ("forbidden_there", words),
        mode=era,
    )
    assert "error" not in found, found
    assert found["tools"] == ["granted"]
    assert found["calls"][0] == {"text": words[::-1], "isError": False}
    assert [call.get("code") for call in found["calls"][1:]] == [-32602] * 3
    assert [line for line in pods.application.executed() if words in line] == [f"granted {words}"]


def test_what_they_say_is_on_the_wire_in_mutual_tls_only(pods: MeshedPods, version: str) -> None:
    words = marker("secret")
    with pods.net.capture(pods.net["client"]) as client, pods.net.capture(pods.net["server"]) as server:
        assert pods.call(words, version=version)["calls"] == [{"text": words[::-1], "isError": False}]
        for wire in (client, server):
            assert not wire.saw(words.encode())
            assert not wire.saw(words[::-1].encode())
            assert {flow[3] for flow in tcp_flows(wire.frames()) if flow[3] < 32768} <= {9000}
            assert wire.saw(TLS_RECORD)  # it did look
    assert pods.server.said("handshake", side="inbound", peer=pods.client.id, reason="allowed")
    assert pods.client.said("handshake", side="outbound", peer=pods.server.id, reason="allowed")
    called = pods.server.said("decision", method="tools/call", name="granted", peer=pods.client.id)
    assert called["allowed"]


def test_a_call_to_the_own_service_is_mutual_tls_with_oneself_and_decided(
    pods: MeshedPods, version: str
) -> None:
    words = marker("own")
    with pods.net.capture(pods.net["client"]) as wire:
        found = pods.agent().calls(f"http://own.{version}.test/mcp", ("granted", words), ("forbidden", words))
        opened = tcp_opened(wire.frames())
        assert not wire.saw(words.encode())
    assert found["tools"] == ["granted"]
    assert found["calls"][0]["text"] == words[::-1]
    assert found["calls"][1]["code"] == -32602
    for direction, backend in (("outbound", f"own-{version}"), ("inbound", "application")):
        said = {"direction": direction, "backend": backend, "peer": pods.client.id, "method": "tools/call"}
        assert pods.client.said("decision", **said, name="granted", allowed=True)
    assert pods.own.executed()[-1] == f"granted {words}"
    assert len(opened) <= 4


def test_a_peer_that_is_somebody_else_gets_nothing(pods: MeshedPods) -> None:
    words = marker("elsewhere")
    with pods.net.capture(pods.net["client"]) as wire:
        found = pods.agent().calls("http://elsewhere.test:9000/mcp", ("granted", words))
        assert not wire.saw(words.encode())
    assert "error" in found
    assert pods.client.said(
        "handshake", side="outbound", peer=str(pods.authority.id(STRANGER_ID)), reason="peer_wrong_identity"
    )
    assert words not in "".join(pods.application.executed())


def test_a_destination_that_nobody_declared_is_refused_before_anything_leaves(pods: MeshedPods) -> None:
    words = marker("undeclared")
    with pods.net.capture(pods.net["client"]) as wire:
        found = pods.agent().calls("http://attacker.test:9000/mcp", ("granted", words))
        assert not tcp_opened(wire.frames())
    assert "error" in found


def test_the_capture_would_have_seen_it(pods: MeshedPods) -> None:
    """The same programs in a pod without a sidecar: without this, "not seen" would prove nothing."""
    net, words = pods.net, marker("control")
    folder = pods.folder / "control"
    server = BackwardsServer(net["attacker"], pods.python_v2, folder, 9100)
    client = Agent(net.bridge, pods.python_v2, "e2e.clients.sdk_v2")
    with net.capture(net["attacker"]) as wire:
        for version in VERSIONS:
            found = client.calls(f"http://attacker.{version}.test:9100/mcp", ("granted", words))
            assert found["calls"] == [{"text": words[::-1], "isError": False}]
        assert wire.saw(words.encode())
        assert wire.saw(words[::-1].encode())
    server.kill()


def test_a_port_of_the_pods_own_address_is_delivered_to(pods: MeshedPods, version: str) -> None:
    """A port that is not among `application.ports` is delivered where it was dialled, not on loopback."""
    words, address = marker("own address"), getattr(pods.net["server"], version)
    with listening(pods.net["server"], address, 9001) as listener:
        answer = _answered(pods, address, 9001, words, listener)
    assert b'"result":{"content":[]}' in answer


def test_what_listens_on_loopback_only_is_not_opened_to_peers(pods: MeshedPods, version: str) -> None:
    """Without the mesh nobody but the pod itself would reach it; that must not change.

    Linux resets no connection from ::1 to another own address, so that over IPv6 the end is a timeout.
    """
    words, address = marker("loopback"), getattr(pods.net["server"], version)
    with listening(pods.net["server"], LOOPBACK[version], 9003) as listener:
        identity = pods.authority.identity(CLIENT_ID)
        answer = says_in_tls(pods.net["attacker"], address, 9003, tool_call(words), identity=identity)
        with pytest.raises(BlockingIOError):
            listener.accept(0)
    assert isinstance(answer, bytes)
    assert (b"upstream_unreachable" if version == "ipv4" else b"upstream_connect_timeout") in answer


def test_an_application_on_the_pods_own_address_only_is_reached_where_the_configuration_says_so(
    pods: MeshedPods, version: str
) -> None:
    words, address = marker("on its address"), getattr(pods.net["server"], version)
    application = {"host": address, "ports": [9000, 9001]}
    with configured(pods.server, pods.server.documents, application=application):
        pods.works(version)
        with listening(pods.net["server"], address, 9001) as listener:
            for port in (9001, 15443):  # redirected, and by the port of Host
                assert b'"result":{"content":[]}' in _answered(pods, address, port, words, listener)


def test_a_pod_is_no_gateway_to_others(pods: MeshedPods, version: str) -> None:
    """Packets for somebody else that a neighbour routes through the pod end in it, even for a granted peer.

    Otherwise any address could be dialled in the name of the sidecar, whose own traffic nothing holds back.
    """
    words, server, attacker = marker("gateway"), pods.net["server"], pods.net["attacker"]
    beyond = {"ipv4": "10.99.0.9", "ipv6": "fd99::9"}[version]
    identity = pods.authority.identity(CLIENT_ID)
    attacker.run(["ip", "route", "add", beyond, "via", getattr(server, version)])
    try:
        with pods.net.capture(server) as wire:
            for port in (9000, 9001):
                says_in_tls(attacker, beyond, port, tool_call(words), identity=identity)
            outward = {flow for flow in tcp_opened(wire.frames()) if flow[0] == getattr(server, version)}
        assert not outward
    finally:
        attacker.run(["ip", "route", "delete", beyond])


def _answered(pods: MeshedPods, address: str, port: int, words: str, listener: Listener) -> bytes:
    """A granted call to that port, which is served by hand."""
    identity = pods.authority.identity(CLIENT_ID)
    with ThreadPoolExecutor(1) as calling:
        attacker = pods.net["attacker"]
        call = calling.submit(
            says_in_tls,
            attacker,
            address,
            port,
            tool_call(words, f"x:{listener.listener.getsockname()[1]}"),
            identity=identity,
        )
        with listener.accept() as served:
            assert words.encode() in served.recv(65536)
            served.sendall(JSON_HEAD % len(RESULT) + RESULT)
            answer = call.result()
    assert isinstance(answer, bytes)
    return answer
