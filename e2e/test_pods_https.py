"""HTTPS of an application that knows nothing but SSL_CERT_FILE: ended in its pod, decided, and made again."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.attacks import says_in_tls, tool_call
from e2e.frames import tcp_opened
from e2e.meshed_pods import MeshedPods, marker, tools
from e2e.pods import Agent, BackwardsServer, PodSidecar, configured, document
from mesh.identity.ca import Authority, make_authority
from mesh.settings.trust import BUNDLE_FILE
from tests.support.forge import forge

API = "api.test"
URL = f"https://{API}/mcp"


@dataclass(frozen=True, slots=True)
class Https:
    """A server that the public trusts, at whose every name the client's sidecar intercepts."""

    server: BackwardsServer
    sidecar: PodSidecar
    agents: dict[str, Agent]


def certificate(root: Authority, path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = forge(root, key.public_key(), datetime.now(UTC), uris=(), dns=(API,), extended=("SERVER_AUTH",))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    path.write_text(private + ssl.DER_cert_to_PEM_cert(leaf))
    return path


@pytest.fixture(scope="module")
def https(pods: MeshedPods, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Https]:
    folder, web = tmp_path_factory.mktemp("https"), pods.net["attacker"]
    root = make_authority("public.test", datetime.now(UTC), timedelta(hours=1))
    roots = folder / "roots.pem"
    roots.write_text(ssl.DER_cert_to_PEM_cert(root.der))
    server = BackwardsServer(
        web, pods.python_v2, folder / "api", 443, certificate=certificate(root, folder / "api.pem"), uid=0
    )
    names = {**pods.names, API: (web.ipv4,), "impostor.test": (web.ipv4,), "other.test": (web.ipv4,)}
    pods.net["client"].know(names, pods.net.bridge.ipv4)
    backends = [
        document(
            "Backend",
            host.partition(".")[0],
            protocol="MCP",
            host=host,
            port=443,
            path="/mcp",
            tls={"mode": "Public"},
        )
        for host in (API, "impostor.test")
    ]
    outbound = [{"backend": name, "tools": tools("granted")} for name in ("api", "impostor")]
    documents = [*backends, document("AgentPolicy", "client", outbound=outbound, inbound=[])]
    settings = {"interception": {"directory": str(pods.client.trust)}, "authorities": str(roots)}
    with configured(pods.client, documents, **settings) as sidecar:
        bundle = str(pods.client.trust / BUNDLE_FILE)
        agents = {
            line: Agent(sidecar.pod, python, f"e2e.clients.sdk_{line}", SSL_CERT_FILE=bundle)
            for line, python in (("v1", pods.python_v1), ("v2", pods.python_v2))
        }
        yield Https(server, sidecar, agents)
    server.kill()


@pytest.mark.parametrize("era", ["v1", "legacy", "auto"])
def test_tools_are_filtered_inside_https(pods: MeshedPods, https: Https, era: str) -> None:
    words = marker("https")
    agent = https.agents["v1" if era == "v1" else "v2"]
    with pods.net.capture(pods.net["client"]) as wire:
        found = agent.calls(URL, ("granted", words), ("forbidden", words), mode=era)
        assert not wire.saw(words.encode())
        assert not wire.saw(words[::-1].encode())
    assert "error" not in found, found
    assert found["tools"] == ["granted"]
    assert found["calls"][0]["text"] == words[::-1]
    assert found["calls"][1]["code"] == -32602
    assert [line for line in https.server.executed() if words in line] == [f"granted {words}"]
    said = {"direction": "outbound", "backend": "api", "method": "tools/call"}
    assert https.sidecar.said("decision", **said, name="granted", allowed=True)
    assert https.sidecar.said("decision", **said, name="forbidden", allowed=False)


def test_a_program_that_was_not_told_whom_to_trust_does_not_go_on(pods: MeshedPods, https: Https) -> None:
    words = marker("untold")
    assert "error" in pods.agent().calls(URL, ("granted", words))
    assert https.sidecar.said("refused_message", reason="interception_not_trusted")
    assert words not in "".join(https.server.executed())


def test_the_sidecar_believes_no_impostor_for_the_application(pods: MeshedPods, https: Https) -> None:
    """The server's certificate is for another name: the application is shown ours, so the sidecar has to look."""
    words = marker("impostor")
    found = https.agents["v2"].calls("https://impostor.test/mcp", ("granted", words))
    assert "error" in found
    assert words not in "".join(https.server.executed())


@pytest.mark.parametrize(
    ("server_name", "alert", "reason"),
    [
        ("other.test", "TLSV1_ALERT_ACCESS_DENIED", "egress_denied"),
        ("www.api.test", "TLSV1_ALERT_ACCESS_DENIED", "egress_denied"),
        (None, "TLSV13_ALERT_MISSING_EXTENSION", "server_name_missing"),
    ],
    ids=["undeclared", "below a declared name", "no server name"],
)
def test_other_tls_does_not_leave_the_pod(
    pods: MeshedPods, https: Https, server_name: str | None, alert: str, reason: str
) -> None:
    client, web = pods.net["client"], pods.net["attacker"]
    with pods.net.capture(client) as wire:
        found = says_in_tls(
            client, web.ipv4, 443, tool_call("x", API), alpn=("http/1.1",), server_name=server_name
        )
        assert not tcp_opened(wire.frames())
    assert found == alert
    event = "decision" if reason == "egress_denied" else "refused_message"
    assert https.sidecar.said(event, reason=reason)


def test_a_host_inside_that_differs_from_the_name_outside_is_refused(pods: MeshedPods, https: Https) -> None:
    words = marker("fronting")
    found = says_in_tls(
        pods.net["client"],
        pods.net["attacker"].ipv4,
        443,
        tool_call(words, "impostor.test"),
        alpn=("http/1.1",),
        server_name=API,
    )
    assert isinstance(found, bytes)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert words not in "".join(https.server.executed())
