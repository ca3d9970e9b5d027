"""Two sidecars with mutual TLS between them: who may talk to whom, and what they may say."""

from __future__ import annotations

import asyncio

import pytest

from mesh.reasons import Reason
from sidecar.telemetry import names
from tests.support.loopback import (
    TOOLS,
    answering,
    call,
    client_of,
    json_answer,
    read_request,
    result,
    serving,
    unready,
)
from tests.support.meshed import (
    CLIENT_POLICY,
    GITHUB,
    TRIAGE,
    Published,
    client_side,
    new_mesh,
    server_side,
)


async def test_a_call_crosses_mutual_tls_and_the_server_side_decides_by_the_peers_identity() -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({"content": []})))
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (server, inbound),
        client_side(Published(mesh.identity(TRIAGE)), inbound) as (_, port),
        client_of(port) as client,
    ):
        allowed = await client.rpc(call("search"))
        refused = await client.rpc(call("drop", 2))
        decided = server.metrics.value(names.REQUESTS, ("inbound", "application", "tools/call", "allowed"))
    assert allowed == (200, result({"content": []}))
    assert refused[1]["error"]["message"] == "Unknown tool: drop"
    assert (len(seen), decided) == (1, 1)


async def test_a_list_is_filtered_at_the_servers_end_for_the_peer_that_asks() -> None:
    mesh = new_mesh()
    script, _ = answering(json_answer(result({"tools": TOOLS})))
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (_, inbound),
        client_side(Published(mesh.identity(TRIAGE)), inbound) as (_, port),
        client_of(port) as client,
    ):
        _, answer = await client.rpc({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["search", "list_all", "list_delete"]


async def test_a_peer_that_no_inbound_rule_names_is_refused() -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({})))
    stranger = "spiffe://test.mesh/ns/agents/sa/stranger"
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (server, inbound),
        client_side(Published(mesh.identity(stranger)), inbound) as (_, port),
        client_of(port) as client,
    ):
        status, answer = await client.rpc(call("search"))
        assert (status, answer["reason"]) == (403, "peer_not_allowed")
        assert server.metrics.value(names.HANDSHAKES, ("inbound", "peer_not_allowed")) == 1
    assert seen == []


async def test_a_server_that_proves_another_identity_is_not_talked_to() -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({})))
    fake = "spiffe://test.mesh/ns/tools/sa/fake"
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(fake)), backend.port) as (_, inbound),
        client_side(Published(mesh.identity(TRIAGE)), inbound) as (_, port),
        client_of(port) as client,
    ):
        status, answer = await client.rpc(call("search"))
    assert (status, answer["error"]["data"]) == (502, {"reason": "peer_wrong_identity"})
    assert seen == []


async def test_a_server_of_another_authority_is_not_talked_to() -> None:
    ours, theirs = new_mesh(), new_mesh()
    async with (
        serving(answering(b"")[0]) as backend,
        server_side(Published(theirs.identity(GITHUB)), backend.port) as (_, inbound),
        client_side(Published(ours.identity(TRIAGE)), inbound) as (_, port),
        client_of(port) as client,
    ):
        status, _ = await client.rpc(call("search"))
    assert status == 502


async def test_a_client_without_a_certificate_is_refused_before_any_request() -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({})))
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (server, inbound),
        client_of(inbound) as client,
    ):
        await client.send(b"POST /mcp HTTP/1.1\r\nhost: github.tools.svc\r\ncontent-length: 0\r\n\r\n")
        while await asyncio.wait_for(client.reader.read(4096), 5):
            pass
        failed = server.metrics.value(names.HANDSHAKES, ("inbound", Reason.TLS_HANDSHAKE))
    assert (failed, seen) == (1, [])


async def test_rotation_drops_no_request_and_new_connections_use_the_new_svid() -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({"content": []})))
    agent = Published(mesh.identity(TRIAGE))
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (server, inbound),
        client_side(agent, inbound) as (sidecar, port),
        client_of(port) as client,
    ):
        for ident in range(5):
            rotated = asyncio.Event()
            unsubscribe = sidecar.identity.subscribe(lambda _, rotated=rotated: rotated.set())
            first = asyncio.get_running_loop().create_task(client.rpc(call("search", ident)))
            agent.put(mesh.identity(TRIAGE))
            await asyncio.wait_for(rotated.wait(), 5)
            unsubscribe()
            assert (await first)[0] == 200
        handshakes = server.metrics.value(names.HANDSHAKES, ("inbound", Reason.ALLOWED))
    assert len(seen) == 5
    assert handshakes >= 4


async def test_without_an_svid_nothing_is_accepted_and_readiness_says_why() -> None:
    mesh = new_mesh()
    provider = Published(None)
    async with serving(answering(b"")[0]) as backend:
        starting = asyncio.get_running_loop().create_task(_start(provider, backend.port))
        await asyncio.sleep(0)
        assert not starting.done()
        provider.put(mesh.identity(GITHUB))
        assert await asyncio.wait_for(starting, 5) == ()


async def _start(provider: Published, port: int) -> tuple[str, ...]:
    async with server_side(provider, port) as (sidecar, _):
        return unready(sidecar)


async def test_an_expired_svid_makes_the_sidecar_unready_and_refuses_with_the_reason() -> None:
    mesh = new_mesh()
    expired = mesh.identity(TRIAGE, expired=True)
    async with client_side(Published(expired), 1) as (sidecar, port), client_of(port) as client:
        status, answer = await client.rpc(call("search"))
        found = unready(sidecar)
    assert (status, answer["error"]["data"]) == (503, {"reason": "svid_expired"})
    assert found == ("svid_expired",)


@pytest.mark.parametrize("short_lived", ["client", "server"])
async def test_a_stream_ends_with_the_certificates_of_its_connection_and_not_before(short_lived: str) -> None:
    mesh = new_mesh()
    seconds = {"client": 3600.0, "server": 3600.0, short_lived: 3.0}

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: open\n\n")
        await reader.read()

    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB, seconds=seconds["server"])), backend.port) as (
            _,
            inbound,
        ),
        client_side(Published(mesh.identity(TRIAGE, seconds=seconds["client"])), inbound) as (_, port),
        client_of(port) as client,
    ):
        await client.send(
            b"GET http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
            b"accept: text/event-stream\r\n\r\n"
        )
        status, _ = await client.head()
        async with asyncio.timeout(10):
            received = [part async for part in client.chunks()]
    assert (status, received) == (200, [b": open\n\n"])


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/nothing"])
async def test_the_telemetry_port_answers_probes(path: str) -> None:
    async with client_side(Published(new_mesh().identity(TRIAGE)), 1, policy=CLIENT_POLICY) as (sidecar, _):
        port = int(sidecar.addresses["telemetry"].rpartition(":")[2])
        async with client_of(port) as client:
            await client.send(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            status, _, body = await client.answer()
    assert status == (404 if path == "/nothing" else 200)
    assert ("outrider_identity_ready 1.0" in body.decode()) is (path == "/metrics")
