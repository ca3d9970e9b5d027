"""A sidecar and its control plane: what is in force, whatever becomes of either."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mesh.distribution.messages import FromControl, Leave
from mesh.identity.bundle import TrustBundle
from mesh.identity.issuance import RefusedAnswer
from mesh.identity.pem import read_certificates
from mesh.policy.documents import Documents
from sidecar.app import Sidecar
from sidecar.config import (
    AgentSettings,
    ApplicationSettings,
    Decisions,
    IdentitySettings,
    ListenSettings,
    Provider,
    SidecarConfig,
)
from sidecar.control.saved import SavedState
from sidecar.limits import Limits
from sidecar.telemetry import names
from tests.support.control_plane import (
    BACKEND,
    ControlPlaneServer,
    configuration,
    control_plane,
    granting,
    sealed,
)
from tests.support.loopback import Client, answering, call, client_of, json_answer, result, serving, unready
from tests.support.meshed import TRIAGE, Published, new_mesh
from tests.support.slow import until

ANY = ("127.0.0.1", 0)
SEARCH = sealed(configuration("any", granting("search")))
LIST = sealed(configuration("any", granting("list")))
BROKEN = sealed(configuration("any", granting("search", mode="perhaps")))


def config_of(plane: ControlPlaneServer, backend: int, state: Path | None = None) -> SidecarConfig:
    return SidecarConfig(
        AgentSettings("agents", "triage-1", uid="uid"),
        IdentitySettings(),
        ListenSettings(ANY, None, ANY),
        ApplicationSettings(),
        (),
        {"github.tools.svc:8080": f"127.0.0.1:{backend}"},
        replace(Limits(), drain_seconds=0.2),
        Decisions.NONE,
        control=plane.settings(state),
    )


@asynccontextmanager
async def running(config: SidecarConfig) -> AsyncIterator[tuple[Sidecar, int]]:
    """A sidecar that is ready, and its proxy port."""
    sidecar = Sidecar(config, Documents())
    try:
        addresses = await asyncio.wait_for(sidecar.start(), 10)
        yield sidecar, int(addresses["forward"].rpartition(":")[2])
    finally:
        sidecar.stop()
        await sidecar.drain()


async def may(client: Client, tool: str) -> bool:
    """Whether a call of this tool reaches the server."""
    status, answer = await client.rpc(call(tool))
    assert status == 200
    return "result" in answer


def backend() -> Any:
    return serving(answering(json_answer(result({"content": []})))[0])


async def test_a_tool_that_is_revoked_is_refused_from_the_next_request(tmp_path: Path) -> None:
    async with control_plane(tmp_path, SEARCH) as plane, backend() as server:
        async with running(config_of(plane, server.port)) as (sidecar, port), client_of(port) as client:
            assert await may(client, "search")
            assert not await may(client, "list")
            plane.push(LIST)
            await plane.applied(LIST.version)
            assert not await may(client, "search")
            assert await may(client, "list")
            health = sidecar.readiness().configuration
            assert (health.source, health.version, health.connected) == ("stream", LIST.version, True)
        hello = plane.heard[0].hello
        assert hello is not None
        assert (hello.namespace, hello.pod, hello.uid, hello.version) == ("agents", "triage-1", "uid", "")
        assert b"authorization: Bearer a.b.c\r\n" in plane.heads[0]
        assert b"POST /v1/configuration HTTP/1.1\r\n" in plane.heads[0]


async def test_what_was_damaged_on_its_way_is_refused(tmp_path: Path) -> None:
    async with control_plane(tmp_path, SEARCH) as plane, backend() as server:
        async with running(config_of(plane, server.port)) as (_, port), client_of(port) as client:
            plane.push(configuration("v9", granting("list")))
            told = (await plane.until(lambda message: message.refused)).refused
            assert told is not None
            assert (told.version, told.reason) == ("v9", "configuration_invalid")
            assert "damaged" in told.detail
            assert await may(client, "search")


async def test_what_cannot_be_compiled_is_refused_and_the_last_good_one_stays(tmp_path: Path) -> None:
    async with control_plane(tmp_path, SEARCH) as plane, backend() as server:
        async with running(config_of(plane, server.port)) as (sidecar, port), client_of(port) as client:
            plane.push(BROKEN)
            told = (await plane.until(lambda message: message.refused)).refused
            assert told is not None
            assert (told.version, told.reason) == (BROKEN.version, "configuration_invalid")
            assert "spec.mode" in told.detail
            assert await may(client, "search")
            found = sidecar.readiness()
            assert found.ready
            assert found.configuration.version == SEARCH.version
            assert found.configuration.refusal is not None
            assert found.configuration.refusal.version == BROKEN.version
            assert sidecar.metrics.value(names.CONFIGURATIONS, ("configuration_invalid",)) == 1
            assert "outrider_control_connected 1" in sidecar.metrics.exposition()
            plane.push(LIST)
            await plane.applied(LIST.version)
            assert sidecar.readiness().configuration.refusal is None


async def test_a_control_plane_that_goes_takes_nothing_with_it(tmp_path: Path) -> None:
    async with control_plane(tmp_path, SEARCH) as plane, backend() as server:
        async with running(config_of(plane, server.port)) as (sidecar, port), client_of(port) as client:
            await plane.stop()
            await until(lambda: not sidecar.readiness().configuration.connected)
            assert await may(client, "search")
            found = sidecar.readiness()
            assert found.ready
            assert found.configuration.problem
            plane.latest = LIST
            await plane.start()
            await plane.applied(LIST.version)
            assert await may(client, "list")
        hellos = [message.hello.version for message in plane.heard if message.hello]
        assert hellos == ["", SEARCH.version]


async def test_without_a_configuration_nothing_is_served_and_it_is_said_why(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.stop()
        sidecar = Sidecar(config_of(plane, 1), Documents())
        starting = asyncio.get_running_loop().create_task(sidecar.start())
        await until(lambda: sidecar.readiness().configuration.problem != "")
        assert list(sidecar.addresses) == ["telemetry"]
        assert [one.code for one in sidecar.readiness().reasons] == ["no_configuration", "listener_not_bound"]
        await plane.start()
        plane.latest = SEARCH
        assert sorted(await asyncio.wait_for(starting, 10)) == ["forward", "telemetry"]
        assert unready(sidecar) == ()
        sidecar.stop()
        await sidecar.drain()


async def test_with_a_saved_configuration_it_serves_before_the_control_plane_answers(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    async with control_plane(tmp_path / "plane", SEARCH) as plane, backend() as server:
        config = config_of(plane, server.port, state)
        async with running(config):
            await until(lambda: bool(list(state.glob("configuration"))))
        await plane.stop()
        async with running(config) as (sidecar, port), client_of(port) as client:
            assert await may(client, "search")
            health = sidecar.readiness().configuration
            assert (health.source, health.version) == ("saved", SEARCH.version)
            plane.latest = LIST
            await plane.start()
            await plane.applied(LIST.version)
            assert not await may(client, "search")


@pytest.mark.parametrize("content", [b"", b"garbage", b'outrider 1 00\n{"owner":""}'])
async def test_a_saved_file_that_is_damaged_is_passed_over(tmp_path: Path, content: bytes) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "configuration").write_bytes(content)
    async with control_plane(tmp_path / "plane", SEARCH) as plane, backend() as server:
        async with running(config_of(plane, server.port, state)) as (sidecar, _):
            assert sidecar.readiness().configuration.source == "stream"


async def test_a_state_folder_that_takes_nothing_is_told_and_harms_nobody(tmp_path: Path) -> None:
    async with control_plane(tmp_path, SEARCH) as plane, backend() as server:
        config = config_of(plane, server.port, tmp_path / "nowhere")
        async with running(config) as (sidecar, _):
            await until(lambda: sidecar.metrics.value(names.CONFIGURATION_SAVE_FAILURES) == 1)
            assert sidecar.readiness().ready


async def test_who_is_refused_is_told_why(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        refused = RefusedAnswer("caller_refused", "the token is that of agents/other")
        plane.refusal = (403, refused)
        sidecar = Sidecar(config_of(plane, 1), Documents())
        starting = asyncio.get_running_loop().create_task(sidecar.start())
        await until(lambda: sidecar.readiness().configuration.problem != "")
        problem = sidecar.readiness().configuration.problem
        assert "refuses what we ask for: the token is that of agents/other" in problem
        assert sidecar.metrics.value(names.CONTROL_FAILURES, ("caller_refused",)) >= 1
        sidecar.stop()
        await starting
        await sidecar.drain()


async def test_it_leaves_when_it_is_asked_to_and_comes_back(tmp_path: Path) -> None:
    async with control_plane(tmp_path, SEARCH) as plane, backend() as server:
        async with running(config_of(plane, server.port)):
            plane.push(FromControl(leave=Leave(0.01)))
            await until(lambda: len(plane.heads) == 2)


async def test_an_event_stream_that_is_open_meets_the_new_policy_with_its_next_event(tmp_path: Path) -> None:
    more = asyncio.Event()
    listed = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "search"}, {"name": "list"}]}}
    event = b"data: " + json.dumps(listed).encode() + b"\n\n"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n%b\r\n" % (len(event), event))
        await more.wait()
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await reader.read()

    async with control_plane(tmp_path, SEARCH) as plane, serving(script) as server:
        async with running(config_of(plane, server.port)) as (_, port), client_of(port) as client:
            await client.send(
                b"GET http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
                b"accept: text/event-stream\r\n\r\n"
            )
            assert (await client.head())[0] == 200
            chunks = client.chunks()
            assert b'"search"' in (first := await asyncio.wait_for(anext(chunks), 5))
            assert b'"list"' not in first
            plane.push(LIST)
            await plane.applied(LIST.version)
            more.set()
            second = await asyncio.wait_for(anext(chunks), 5)
            assert b'"list"' in second
            assert b'"search"' not in second


async def test_a_tunnel_that_is_revoked_is_cut(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    tcp = json.loads(json.dumps(BACKEND))
    tcp["spec"]["protocol"] = "TCP"
    del tcp["spec"]["path"]
    rule = granting("search")
    del rule["spec"]["outbound"][0]["tools"]
    granted = replace_documents("any", tcp, rule)
    unrelated = replace_documents("any", tcp, rule, granting_nothing("other"))
    revoked = replace_documents("any", tcp)
    async with control_plane(tmp_path, granted) as plane, serving(echo) as server:
        async with running(config_of(plane, server.port)) as (sidecar, port), client_of(port) as client:
            await client.send(
                b"CONNECT github.tools.svc:8080 HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n"
            )
            assert (await client.head())[0] == 200
            plane.push(unrelated)
            await plane.applied(unrelated.version)
            await client.send(b"still here")
            assert await asyncio.wait_for(client.reader.readexactly(10), 5) == b"still here"
            plane.push(revoked)
            await plane.applied(revoked.version)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(client.reader.readexactly(1), 5)
            assert sidecar.metrics.value(names.REVOKED_CONNECTIONS, ("outbound",)) == 1


def replace_documents(version: str, *documents: Any) -> Any:
    found = configuration(version)
    return sealed(type(found)(version, [dict(document) for document in documents]))


def granting_nothing(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": name, "namespace": "agents"},
        "spec": {"selector": {"matchLabels": {"app": name}}},
    }


async def test_an_svid_of_its_own_ca_proves_the_sidecar_and_the_token_where_that_is_refused(
    tmp_path: Path,
) -> None:
    mesh = new_mesh()
    identity = mesh.identity(TRIAGE)
    async with control_plane(tmp_path, SEARCH) as plane, backend() as server:
        await plane.stop()
        plane.authorities = b"".join(mesh.authority.bundle.authorities_der)
        await plane.start()
        config = replace(config_of(plane, server.port), identity=IdentitySettings(Provider.BUILTIN))
        sidecar = Sidecar(config, Documents(), Published(identity))
        await asyncio.wait_for(sidecar.start(), 10)
        assert plane.certificates == [identity.svid.chain_der[0]]
        assert b"authorization" not in plane.heads[0]
        plane.refusal = (403, RefusedAnswer("certificate_refused", "its authority is not ours any more"))
        plane.push(FromControl(leave=Leave(0.01)))
        await until(lambda: len(plane.heads) >= 3)
        assert b"authorization: Bearer a.b.c" not in plane.heads[1]
        assert b"authorization: Bearer a.b.c" in plane.heads[2]
        sidecar.stop()
        await sidecar.drain()


class Asked(Published):
    """A source that counts how often another SVID was wished for."""

    wishes = 0

    def renew_now(self) -> None:
        self.wishes += 1


@pytest.mark.parametrize("by_tls", [True, False])
async def test_an_svid_that_the_control_plane_refuses_is_replaced_and_the_token_serves_meanwhile(
    tmp_path: Path, by_tls: bool
) -> None:
    """The server's TLS ends such a connection, often without an alert; or its answer says so."""
    mesh, provider = new_mesh(), Asked(new_mesh().identity(TRIAGE))
    async with control_plane(tmp_path, SEARCH) as plane, backend() as server:
        if by_tls:
            await plane.stop()
            plane.authorities = b"".join(mesh.authority.bundle.authorities_der)
            await plane.start()
        else:
            plane.refusal = (403, RefusedAnswer("certificate_refused", "its authority is not ours"))
        config = replace(config_of(plane, server.port), identity=IdentitySettings(Provider.BUILTIN))
        sidecar = Sidecar(config, Documents(), provider)
        starting = asyncio.ensure_future(sidecar.start())
        await until(lambda: provider.wishes == 1)
        plane.refusal = None
        await asyncio.wait_for(starting, 10)
        assert b"authorization: Bearer a.b.c" in plane.heads[-1]
        assert provider.wishes == 1
        assert sidecar.metrics.value(names.CONTROL_FAILURES, ("certificate_refused",)) == 1
        sidecar.stop()
        await sidecar.drain()


async def test_a_connection_ends_with_the_svid_that_it_was_made_with(tmp_path: Path) -> None:
    mesh = new_mesh()
    provider = Published(mesh.identity(TRIAGE, seconds=1.5))
    async with control_plane(tmp_path, SEARCH) as plane, backend() as server:
        config = replace(config_of(plane, server.port), identity=IdentitySettings(Provider.BUILTIN))
        sidecar = Sidecar(config, Documents(), provider)
        await asyncio.wait_for(sidecar.start(), 10)
        provider.put(mesh.identity(TRIAGE))
        await until(lambda: len(plane.heads) == 2, 5.0)
        sidecar.stop()
        await sidecar.drain()


async def test_roots_that_the_mesh_changed_to_are_trusted_and_kept(tmp_path: Path) -> None:
    """The ones that were configured are of the time when the pod was made."""
    state = tmp_path / "state"
    state.mkdir()
    mesh = new_mesh()
    async with control_plane(tmp_path / "old") as old, control_plane(tmp_path / "new", SEARCH) as new:
        (root,) = read_certificates(new.roots.encode())
        bundle = TrustBundle("test.mesh", (*mesh.authority.bundle.authorities_der, root))
        identity = replace(mesh.identity(TRIAGE), bundles={"test.mesh": bundle})
        settings = replace(new.settings(state), roots=old.roots)
        config = replace(config_of(new, 1), control=settings, identity=IdentitySettings(Provider.BUILTIN))
        sidecar = Sidecar(config, Documents(), Published(identity))
        await asyncio.wait_for(sidecar.start(), 10)
        assert sidecar.readiness().configuration.connected
        kept = SavedState(state, "agents/triage-1/uid")
        await until(lambda: root in kept.roots())
        sidecar.stop()
        await sidecar.drain()
