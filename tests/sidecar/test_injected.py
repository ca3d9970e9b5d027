"""What an injected pod relies on: its probes are answered, and the files that its variables name are there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mesh.policy.load import load_texts
from mesh.settings.trust import BUNDLE_FILE, CA_FILE, JAVA_FILE
from sidecar.app import Sidecar
from sidecar.app_probes import HttpProbe
from sidecar.config import (
    AgentSettings,
    ApplicationSettings,
    Decisions,
    IdentitySettings,
    ListenSettings,
    SidecarConfig,
)
from sidecar.interception.bundle import certificates
from sidecar.limits import Limits
from tests.support.loopback import answering, client_of, json_answer, serving

ANY = ("127.0.0.1", 0)
CONFIG = SidecarConfig(
    AgentSettings("agents", "triage"),
    IdentitySettings(),
    ListenSettings(ANY, None, ANY),
    ApplicationSettings(),
    (Path("policies.yaml"),),
    {},
    replace(Limits(), drain_seconds=0.5),
    Decisions.NONE,
)
POLICY = """apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: none, namespace: agents}
spec: {selector: {matchLabels: {}}, egress: deny}
"""


def sidecar(config: SidecarConfig) -> Sidecar:
    return Sidecar(config, load_texts([("policies.yaml", POLICY)]))


async def test_the_application_is_asked_at_the_telemetry_port() -> None:
    script, _ = answering(json_answer({"secret": 1}))
    async with serving(script) as server:
        probes = {"agent/readiness": HttpProbe(server.port, 5.0, "/", False, ())}
        started = sidecar(replace(CONFIG, application=ApplicationSettings(probes=probes)))
        addresses = await started.start()
        port = int(addresses["telemetry"].rpartition(":")[2])
        async with client_of(port) as kubelet:
            await kubelet.send(b"GET /app-health/agent/readiness HTTP/1.1\r\nhost: x\r\n\r\n")
            status, _, body = await kubelet.answer()
        started.stop()
        await started.drain()
    assert (status, body) == (200, b"status 200\n")


async def test_the_files_that_variables_name_are_there_although_nothing_is_intercepted(tmp_path) -> None:
    started = sidecar(replace(CONFIG, interception=tmp_path))
    await started.start()
    started.stop()
    await started.drain()
    assert started.pipeline.interception is not None
    assert not started.pipeline.interception.covers("github.tools.svc")
    assert {path.name for path in tmp_path.iterdir()} == {CA_FILE, BUNDLE_FILE, JAVA_FILE}
    (own,) = certificates((tmp_path / CA_FILE).read_text())
    assert own in certificates((tmp_path / BUNDLE_FILE).read_text())
