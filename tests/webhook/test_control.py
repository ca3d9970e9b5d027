"""The whole control plane as one process runs it: TLS, a token, a configuration, and a drain."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from mesh.distribution.messages import CONFIGURATION_PATH
from mesh.identity.jws import read_jws
from tests.support.api_server import LEASE, serving
from tests.support.ca import AUDIENCE, TokenIssuer, WallClock
from tests.support.control_stream import Sidecar
from tests.support.control_world import agent_policy
from tests.support.slow import until
from tests.webhook.distribution.test_plane import POLICIES, Cluster
from webhook.admission.namespaces import fixed_lookup
from webhook.admission.run import Beside, Serving, serve
from webhook.admission.server import AdmissionServer
from webhook.admission.serving_tls import ServingCertificate
from webhook.admission.settings_file import parse_settings
from webhook.control import ControlPorts, control_plane
from webhook.distribution.hub import MOST_STREAMS
from webhook.distribution.plane import Place
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, make_serving_files
from webhook.parts import Parts
from webhook.plane import Names, Plane, lone_candidate

SETTINGS = f"""
controlPlane: {{url: "https://outrider-control.outrider-system.svc:15012", audience: {AUDIENCE}}}
identity: {{provider: builtin}}
nativeSidecars: always
"""
NAMES = Names("outrider-system", "s", "secret", "outrider-webhook", "m", "v", "outrider-webhook-1")
SECRET = "/api/v1/namespaces/outrider-system/secrets/outrider-ca"
ROOTS = "/api/v1/namespaces/outrider-system/configmaps/outrider-roots"


async def reviewed(request: web.Request) -> web.StreamResponse | None:
    """The API server's judgement of tokens: it believes them."""
    if not request.path.endswith("/tokenreviews"):
        return None
    claims = read_jws((await request.json())["spec"]["token"]).claims
    pod = claims["kubernetes.io"]["pod"]
    extra = {
        "authentication.kubernetes.io/pod-name": [pod["name"]],
        "authentication.kubernetes.io/pod-uid": [pod["uid"]],
    }
    user = {"username": claims["sub"], "extra": extra}
    return web.json_response({"status": {"authenticated": True, "audiences": [AUDIENCE], "user": user}})


@dataclass
class Running:
    server: AdmissionServer
    parts: Parts
    log: list[dict[str, Any]]
    stop: asyncio.Event

    @property
    def url(self) -> str:
        (ready,) = [one for one in self.log if one["event"] == "ready"]
        return f"https://{ready['control'][0]}{CONFIGURATION_PATH}"


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.put(SECRET, {"kind": "Secret"})
    made.put(ROOTS, {"kind": "ConfigMap"})
    made.put(LEASE, {"kind": "Lease"})
    made.faults.append(reviewed)
    made.pod("triage-1", app="triage")
    made.objects["/api/v1/namespaces/agents/pods/triage-1"]["metadata"]["uid"] = "2"
    made.make(POLICIES, "agents", "mine", agent_policy({"app": "triage"}))
    return made


async def run(cluster: Cluster, folder: Path, group: asyncio.TaskGroup, client: Any) -> Running:
    settings = parse_settings(SETTINGS, "settings.yaml")
    log: list[dict[str, Any]] = []
    server = AdmissionServer(settings.injection, fixed_lookup({}), log.append)
    parts, stop = Parts(server), asyncio.Event()
    plane = Plane(client, server.metrics, log.append)
    make_serving_files(folder, ["x"], datetime.now(UTC), timedelta(days=1))
    candidate = parts.add_candidate(lone_candidate(plane, NAMES))
    place = Place(NAMES.namespace, NAMES.identity)
    ports = ControlPorts(0, 0)
    control = control_plane(plane, server, settings, place, "cluster.local", ports, candidate, 0.5)
    parts.add_control(control)
    certificate = ServingCertificate(folder / CERT_FILE, folder / KEY_FILE)
    where = Serving("127.0.0.1", 0, None, drain=0.5)
    group.create_task(
        serve(server, where, certificate, stop, Beside(parts.tasks, parts.leave, parts.listeners))
    )
    running = Running(server, parts, log, stop)
    await until(lambda: bool(log) and not [one for source in parts.problems for one in source()], 10)
    return running


async def test_a_sidecar_proves_itself_by_its_token_and_gets_its_configuration(cluster, tmp_path) -> None:
    tokens = TokenIssuer(WallClock(datetime.now(UTC)))
    async with (
        asyncio.timeout(30),
        serving(cluster, tmp_path) as client,
        asyncio.TaskGroup() as group,
    ):
        running = await run(cluster, tmp_path, group, client)
        roots = running.server.settings.control_plane.roots
        assert "BEGIN CERTIFICATE" in roots
        tls = ssl.create_default_context(cadata=roots)
        options = {"server_hostname": "outrider-control.outrider-system.svc", "ssl": tls}
        headers = {"Authorization": f"Bearer {tokens.token()}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            named = _Named(session, options)
            sidecar = Sidecar(running.url, named, "")  # type: ignore[arg-type]
            assert await sidecar.connect("triage-1", "2") == 200
            first = await sidecar.configuration()
            (port,) = [one for one in running.parts.listeners if one.name == "control"]
            assert port.connections < MOST_STREAMS / 10, "who is not proved has little room"
            assert 0 < port.each < port.connections
            assert [one["metadata"]["name"] for one in first.documents] == ["mine"]
            sidecar.applied(first.version)
            other = Sidecar(running.url, named, "")  # type: ignore[arg-type]
            assert await other.connect("triage-1", "3") == 403
            place = POLICIES.format("agents", "mine")
            await until(lambda: cluster.condition(place, "Applied") == ("True", "Applied"), 10)
            running.stop.set()
            heard = await sidecar.ended()
            assert [one for one in heard if one.leave is not None]
    assert cluster.objects[LEASE]["spec"]["holderIdentity"] == ""


class _Named:
    """A session that asks every server for the name of the control plane."""

    def __init__(self, session: aiohttp.ClientSession, options: dict[str, Any]) -> None:
        self._session = session
        self._options = options

    async def post(self, url: str, **more: Any) -> aiohttp.ClientResponse:
        return await self._session.post(url, **more, **self._options)
