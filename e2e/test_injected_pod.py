"""A pod as admission writes it, run: its init step, its sidecar and its probes, from that environment alone.

The other pod stands for the kubelet, which comes from the node and has no identity, and for anybody else without.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import namespaces
from e2e.attacks import says
from e2e.authority import trust_domain
from e2e.conftest import skip
from e2e.meshed_pods import VERSIONS
from e2e.namespaces import Network, Pod, network
from e2e.plugs import APPLICATION, SIDECAR
from e2e.pods import document, until
from mesh.settings.trust import TRUST_DIRECTORY
from webhook.admission.container import POLICY_PATH
from webhook.admission.identity import WORKLOAD_API_PATH
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace
from webhook.admission.settings import InjectionSettings

SECRET = "the-application-said-this"
SERVER = f"""
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.headers.get("X-Probe") == "yes" else 500)
        self.end_headers()
        self.wfile.write(b"{SECRET}")
server = http.server.ThreadingHTTPServer(("0.0.0.0", 9000), Handler)
print("listening", flush=True)
server.serve_forever()
"""
CONTAINER: dict[str, Any] = {
    "name": "agent",
    "ports": [{"name": "web", "containerPort": 9000}],
    "readinessProbe": {
        "httpGet": {"path": "/ready", "port": "web", "httpHeaders": [{"name": "X-Probe", "value": "yes"}]}
    },
    "livenessProbe": {"httpGet": {"path": "/alive", "port": "web"}},
    "startupProbe": {"tcpSocket": {"port": "web"}},
}


@dataclass(slots=True)
class InjectedPod:
    """The pod as it was injected, and as it runs."""

    net: Network
    spec: dict[str, Any]
    folder: Path
    application: Any

    @property
    def pod(self) -> Pod:
        return self.net["workload"]

    def probe(self, key: str, version: str = "ipv4") -> bytes:
        """What the kubelet gets for a probe, over the network."""
        asked = self.spec["containers"][0][key]["httpGet"]
        request = f"GET {asked['path']} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        return says(self.net["node"], getattr(self.pod, version), asked["port"], request.encode())


def environment_of(spec: dict[str, Any], name: str, folder: Path) -> dict[str, str]:
    """A container's variables, with the paths of its volumes moved to `folder`, as mounts would."""
    moved = {
        WORKLOAD_API_PATH: str(folder),
        POLICY_PATH: str(folder / "policies.yaml"),
        TRUST_DIRECTORY: str(folder / "trust"),
    }
    container = next(one for one in spec["initContainers"] if one["name"] == name)
    values = {one["name"]: one.get("value", "from-the-kubelet") for one in container["env"]}
    values.pop("OUTRIDER_POD_IP", None)
    for path, real in moved.items():
        values = {key: value.replace(path, real) for key, value in values.items()}
    return values


@pytest.fixture(scope="module")
def injected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InjectedPod]:
    if reason := namespaces.missing():
        skip("pods in network namespaces", reason)
    folder = tmp_path_factory.mktemp("injected")
    annotations = {"outrider.dev/capture": "transparent", "outrider.dev/interception": "on"}
    manifest = {"metadata": {"annotations": annotations}, "spec": {"containers": [CONTAINER]}}
    outcome = inject(
        manifest, Namespace("agents", {"outrider.dev/injection": "required"}), InjectionSettings()
    )
    assert isinstance(outcome, Injection)
    spec: dict[str, Any] = dict(outcome.pod["spec"])
    policies = [document("AgentPolicy", "nobody", egress="deny")]
    (folder / "policies.yaml").write_text(yaml.safe_dump_all(policies), encoding="utf-8")
    (folder / "trust").mkdir()
    os.chown(folder / "trust", SIDECAR, SIDECAR)
    with network("workload", "node") as net, trust_domain("mesh.test") as authority:
        pod = net["workload"]
        step, sidecar = spec["initContainers"]
        done = pod.run(
            [sys.executable, *step["command"][1:]], env=environment_of(spec, "outrider-redirect", folder)
        )
        assert done.returncode == 0, done.stderr
        authority.serve(folder / "spire-agent.sock", "ns/agents/sa/agent", SIDECAR)
        user = sidecar["securityContext"]
        log = folder / "sidecar.log"
        with log.open("ab") as errors:
            pod.start(
                [sys.executable, "-m", "sidecar"],
                env=environment_of(spec, "outrider-sidecar", folder),
                uid=user["runAsUser"],
                gid=user["runAsGroup"],
                stderr=errors,
            )
        until(lambda: True if '"event":"ready"' in log.read_text() else None, log.read_text)
        application = pod.start([sys.executable, "-c", SERVER], uid=APPLICATION)
        assert application.stdout is not None
        assert application.stdout.readline() == "listening\n"
        yield InjectedPod(net, spec, folder, application)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_kubelet_gets_verdicts_and_not_a_byte_of_the_application(
    injected: InjectedPod, version: str
) -> None:
    with injected.net.capture(injected.pod) as wire:
        ready, alive, started = (
            injected.probe(key, version) for key in ("readinessProbe", "livenessProbe", "startupProbe")
        )
        assert not wire.saw(SECRET.encode())
    assert ready.startswith(b"HTTP/1.1 200 ")
    assert ready.endswith(b"status 200\n")
    assert alive.startswith(b"HTTP/1.1 503 ")
    assert alive.endswith(b"the application answers with status 500\n")
    assert started.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_ports_that_are_probed_stay_closed_to_plain_text(injected: InjectedPod, version: str) -> None:
    request = b"GET /ready HTTP/1.1\r\nHost: x\r\nX-Probe: yes\r\nConnection: close\r\n\r\n"
    answer = says(injected.net["node"], getattr(injected.pod, version), 9000, request)
    assert b"plain_text_refused" in answer
    assert SECRET.encode() not in answer


def test_nothing_but_declared_probes_can_be_asked(injected: InjectedPod) -> None:
    for path in ("agent/other", "other/readiness", "agent/readiness/../liveness", ""):
        request = f"GET /app-health/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = says(injected.net["node"], injected.pod.ipv4, 15020, request.encode())
        assert answer.startswith(b"HTTP/1.1 404 "), (path, answer)


def test_the_application_may_read_what_it_has_to_trust_and_not_write_it(injected: InjectedPod) -> None:
    trust = injected.folder / "trust"
    assert sorted(path.name for path in trust.iterdir()) == ["bundle.pem", "ca.pem", "truststore.p12"]
    for path in trust.iterdir():
        status = path.stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (SIDECAR, 0o644)


def test_an_application_that_is_gone_is_unhealthy(injected: InjectedPod) -> None:
    injected.application.kill()
    injected.application.wait()

    # A verdict holds for a second, so that callers cannot make the sidecar ask as often as they like.
    def unhealthy() -> bytes | None:
        answer = injected.probe("startupProbe")
        return answer if answer.startswith(b"HTTP/1.1 503 ") else None

    answer = until(unhealthy, lambda: injected.probe("startupProbe").decode())
    assert b"the application cannot be reached" in answer
