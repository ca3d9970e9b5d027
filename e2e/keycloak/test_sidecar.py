"""A whole sidecar of the control plane between a user, an agent and a server: the user's token never reaches the
agent, and the server gets one of its own from Keycloak."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from e2e.keycloak.grants import claims
from e2e.keycloak.relay import Seen, calls_on, server
from e2e.keycloak.server import Keycloak
from e2e.keycloak.trust_domain import NAMESPACE, TrustDomain
from e2e.processes import spawn
from e2e.sidecars import VERSION
from mesh.identity.pem import write_pem
from sidecar.identity.provider import Identity
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files

ACCOUNT = "orchestrator"


@dataclass(frozen=True, slots=True)
class Pod:
    """The agent and its sidecar. `agent` and `target`: what arrived at the agent, and at the server beyond it."""

    inbound: int
    gateway: ssl.SSLContext
    agent: Seen
    target: Seen
    log: Path

    def call(self, token: str) -> tuple[int, bytes]:
        """What the gateway of the users gets for a request with this token."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.inbound, context=self.gateway, timeout=30)
        connection.request(
            "POST", "/ask", b"{}", {"Authorization": f"Bearer {token}", "Host": "orchestrator.test"}
        )
        answer = connection.getresponse()
        try:
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def pod(keycloak: Keycloak, mesh: TrustDomain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("pod")
    bound: dict[str, str] = {}
    (mesh.documents / "orchestrator.yaml").write_text(
        yaml.safe_dump_all(documents(keycloak, mesh)), encoding="utf-8"
    )
    with (
        server(tls=certificate(folder / "web")) as target,
        server(calls_on("http://github.test:443/", lambda: f"http://{bound['forward']}")) as agent,
    ):
        file = folder / "sidecar.yaml"
        file.write_text(yaml.safe_dump(configuration(mesh, folder, agent, target)), encoding="utf-8")
        command = [sys.executable, "-m", "sidecar", "--config", file]
        with spawn(command, ready, on="stderr", log=folder / "sidecar.log") as said:
            bound.update(said)
            inbound = int(bound["inbound"].rpartition(":")[2])
            yield Pod(inbound, gateway(mesh, folder), agent, target, folder / "sidecar.log")


def documents(keycloak: Keycloak, mesh: TrustDomain) -> list[object]:
    """What a user of the product writes."""
    issuer = keycloak.issuer
    credential = {
        "exchange": {
            "issuer": issuer,
            "preset": "keycloak",
            "audience": "mcp-github",
            "scopes": ["repo:read"],
        }
    }
    target = {"protocol": "HTTP", "host": "github.test", "port": 443, "path": "/", "tls": {"mode": "Public"}}
    policy = {
        "selector": {"matchLabels": {"app": ACCOUNT}},
        "users": {"issuers": [{"issuer": issuer, "audiences": ["orchestrator"]}], "scopes": ["triage.use"]},
        "inbound": [{"from": [mesh.id("gateway")], "users": [f"{issuer}#*"], "http": {"allow": True}}],
        "outbound": [{"backend": "github"}],
        "egress": "deny",
    }
    named = (("Backend", "github", {**target, "credential": credential}), ("AgentPolicy", ACCOUNT, policy))
    return [
        {
            "apiVersion": VERSION,
            "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
        for kind, name, spec in named
    ]


def configuration(mesh: TrustDomain, folder: Path, agent: Seen, target: Seen) -> dict[str, object]:
    """As injection writes it, but for the addresses."""
    control = {"url": mesh.url, "roots": mesh.roots.read_text(), "token": str(mesh.token_file(ACCOUNT))}
    return {
        "agent": {
            "namespace": NAMESPACE,
            "name": f"{ACCOUNT}-1",
            "uid": f"uid-{ACCOUNT}",
            "labels": {"app": ACCOUNT},
        },
        "identity": {"provider": "builtin"},
        "control": {**control, "state": str(folder / "state")},
        "listen": {"forward": "127.0.0.1:0", "inbound": "127.0.0.1:0", "telemetry": None},
        "application": {"host": "127.0.0.1", "ports": [agent.port]},
        "authorities": str(folder / "web" / ROOT_FILE),
        "connect": {"github.test:443": f"127.0.0.1:{target.port}"},
        "log": {"decisions": "all"},
    }


def certificate(folder: Path) -> ssl.SSLContext:
    """What the server beyond the sidecar proves itself by, as any on the web does."""
    folder.mkdir()
    make_serving_files(folder, ["github.test"], datetime.now(UTC), timedelta(days=1))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / CERT_FILE, folder / KEY_FILE)
    return context


def gateway(mesh: TrustDomain, folder: Path) -> ssl.SSLContext:
    """A workload of the mesh without a sidecar."""

    async def first() -> Identity:
        identities: asyncio.Queue[Identity] = asyncio.Queue()
        running = asyncio.ensure_future(mesh.source("gateway").run(identities.put_nowait))
        try:
            return await identities.get()
        finally:
            running.cancel()

    identity = asyncio.run(first())
    file = folder / "gateway.pem"
    key = write_pem("PRIVATE KEY", identity.svid.key_pkcs8_der)
    file.write_text(key + write_pem("CERTIFICATE", *identity.svid.chain_der), encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_cert_chain(file)
    context.load_verify_locations(
        cadata=write_pem("CERTIFICATE", *identity.bundles[mesh.name].authorities_der)
    )
    return context


def ready(line: str) -> dict[str, str] | None:
    """Where the sidecar listens."""
    try:
        said = json.loads(line)
    except json.JSONDecodeError:
        return None
    return said if isinstance(said, dict) and said.get("event") == "ready" else None


def test_the_server_gets_a_token_of_the_user_that_the_agent_never_had(keycloak: Keycloak, pod: Pod) -> None:
    alice = keycloak.token("alice")
    said = pod.call(alice)
    assert said == (200, b"done"), (said, pod.log.read_text()[-1500:])
    kind, _, handle = pod.agent[-1].partition(" ")
    assert (kind, handle[:4]) == ("Bearer", "orh_")
    arrived = claims(pod.target[-1].removeprefix("Bearer "))
    assert (arrived["aud"], arrived["azp"], arrived["scope"]) == ("mcp-github", ACCOUNT, "repo:read")
    assert arrived["sub"] == claims(alice)["sub"]
    log = pod.log.read_text()
    assert alice not in log
    assert "eyJ" not in log


def test_each_user_is_acted_for_as_who_they_are(keycloak: Keycloak, pod: Pod) -> None:
    for name in ("alice", "bob"):
        token = keycloak.token(name)
        assert pod.call(token) == (200, b"done")
        assert claims(pod.target[-1].removeprefix("Bearer "))["sub"] == claims(token)["sub"]


def test_who_brings_no_token_of_the_realm_comes_no_further(keycloak: Keycloak, pod: Pod) -> None:
    before = len(pod.agent)
    token = keycloak.token("alice")
    for wrong in (keycloak.admin_token(), token[:-20] + "A" * 20):
        assert pod.call(wrong)[0] == 401
    assert len(pod.agent) == before
