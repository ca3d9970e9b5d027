"""Permissive ports: plain text is let in as that of nobody, and nobody is granted what a rule says."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e.attacks import says, says_in_tls, tool_call
from e2e.meshed_pods import VERSIONS, MeshedPods, marker, server_documents, tools
from e2e.plugs import listening
from e2e.pods import PodSidecar, configured, document

OPAQUE = 9002


@pytest.fixture(scope="module")
def permissive(pods: MeshedPods) -> Iterator[PodSidecar]:
    """Every port but one takes plain text; nobody may call one tool of MCP, and nothing else."""
    rule = {"from": ["unauthenticated"], "mcp": {"tools": tools("forbidden_here")}}
    documents = [*server_documents(pods.authority), document("AgentPolicy", "everybody", inbound=[rule])]
    mode = {"mode": "permissive", "ports": {"9001": "strict"}}
    with configured(pods.server, documents, inbound=mode) as sidecar:
        yield sidecar


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("era", ["v1", "legacy", "auto"])
def test_a_client_without_a_sidecar_gets_what_everybody_gets(
    pods: MeshedPods, permissive: PodSidecar, version: str, era: str
) -> None:
    words = marker("everybody")
    found = pods.agent("attacker", era).calls(
        f"http://server.{version}.test:9000/mcp", ("forbidden_here", words), ("granted", words), mode=era
    )
    assert "error" not in found, found
    assert found["tools"] == ["forbidden_here"]
    assert found["calls"][0]["text"] == words[::-1]
    assert found["calls"][1]["code"] == -32602
    for name, allowed in (("forbidden_here", True), ("granted", False)):
        assert permissive.said(
            "decision", direction="inbound", peer="unauthenticated", name=name, allowed=allowed
        )
    assert [line for line in pods.application.executed() if words in line] == [f"forbidden_here {words}"]


def test_peers_of_the_mesh_keep_their_own_grants(
    pods: MeshedPods, permissive: PodSidecar, version: str
) -> None:
    words = marker("peer")
    with pods.net.capture(pods.net["server"]) as wire:
        found = pods.call(words, version=version)
        assert not wire.saw(words.encode())
    assert found["tools"] == ["granted"]  # what nobody may is nothing to who is somebody
    assert found["calls"][0]["text"] == words[::-1]


def test_a_port_that_is_strict_stays_strict(pods: MeshedPods, permissive: PodSidecar, version: str) -> None:
    address = getattr(pods.net["server"], version)
    answer = says(pods.net["attacker"], address, 9001, tool_call("strict"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["reason"] == "plain_text_refused"


def test_what_cannot_be_inspected_needs_more_than_a_grant_of_tools(
    pods: MeshedPods, permissive: PodSidecar, version: str
) -> None:
    address = getattr(pods.net["server"], version)
    with listening(pods.net["server"], address, OPAQUE) as listener:
        assert says(pods.net["attacker"], address, OPAQUE, b"\0\1\2\3") == b""
        tls = says_in_tls(pods.net["attacker"], address, OPAQUE, b"hello", alpn=("h2",))
        assert tls == "TLSV1_ALERT_ACCESS_DENIED"
        with pytest.raises(BlockingIOError):
            listener.accept(0)


def test_an_identity_that_is_not_granted_is_not_nobody(
    pods: MeshedPods, permissive: PodSidecar, version: str
) -> None:
    """Who comes with the mesh's TLS and a wrong identity is refused, and not taken for a caller without one."""
    words = marker("fallback")
    stranger = pods.authority.identity("ns/tools/sa/stranger", expired=True)
    address = getattr(pods.net["server"], version)
    found = says_in_tls(pods.net["attacker"], address, 9000, tool_call(words), identity=stranger)
    assert not isinstance(found, bytes) or found == b""


def test_the_capture_sees_what_a_sidecar_says_in_plain_text(
    pods: MeshedPods, permissive: PodSidecar, version: str
) -> None:
    """A Backend that is declared without TLS: the one way in which a sidecar speaks so, and the wire shows it."""
    words, host = marker("declared plain"), f"server.{version}.test"
    plain = document(
        "Backend", "plain", protocol="MCP", host=host, port=9000, path="/mcp", tls={"mode": "None"}
    )
    rule = {"backend": "plain", "tools": tools("forbidden_here")}
    documents = [plain, document("AgentPolicy", "client", outbound=[rule], inbound=[])]
    client, server = pods.net["client"], pods.net["server"]
    with (
        configured(pods.client, documents),
        pods.net.capture(client) as here,
        pods.net.capture(server) as there,
    ):
        assert pods.call(words, "forbidden_here", version=version)["calls"][0]["text"] == words[::-1]
        for wire in (here, there):
            assert wire.saw(words.encode())
            assert wire.saw(words[::-1].encode())
