"""Another policy while a sidecar serves: who is connected, and what can be intercepted, under it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.policy.compile import compile_policy
from mesh.policy.decide import Policy
from mesh.policy.load import load_texts
from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.control.compiled import ConfigurationRefused, policy_of
from sidecar.telemetry import names
from tests.support.control_plane import configuration, granting
from tests.support.loopback import (
    POLICY,
    answering,
    call,
    client_of,
    json_answer,
    result,
    serving,
    sidecar_for,
)
from tests.support.meshed import GITHUB, SERVER_POLICY, TRIAGE, Published, new_mesh, server_side
from tests.support.peer import connect, request

OTHER = "spiffe://test.mesh/ns/agents/sa/other"

LOOPS = ("asyncio", "uvloop")


def policy(text: str) -> Policy:
    return compile_policy(load_texts([("policies.yaml", text)]), labels={}, namespace="agents")


async def test_a_peer_whom_no_rule_names_any_more_is_cut_and_another_stays() -> None:
    mesh = new_mesh()
    both = SERVER_POLICY.replace(f'"{TRIAGE}"', f'"{TRIAGE}", "{OTHER}"')
    script, _ = answering(json_answer(result({})))
    async with (
        serving(script) as application,
        server_side(Published(mesh.identity(GITHUB)), application.port, policy=both) as (sidecar, port),
    ):
        revoked, kept = await connect(mesh, TRIAGE, port), await connect(mesh, OTHER, port)
        for peer in (revoked, kept):
            peer.transport.write(request("DELETE", "/mcp", b"", ("mcp-session-id", "s")))
            assert b"200 OK" in await peer.head()
        sidecar.use(policy(SERVER_POLICY.replace(TRIAGE, OTHER)))
        assert await asyncio.wait_for(revoked.until(b"never"), 5) is not None
        assert revoked.closed
        assert not kept.closed
        kept.received = b""
        kept.transport.write(request("DELETE", "/mcp", b"", ("mcp-session-id", "s")))
        assert b"200 OK" in await kept.head()
        assert sidecar.metrics.value(names.REVOKED_CONNECTIONS, ("inbound",)) == 1


async def test_a_call_on_its_way_gets_its_answer_though_its_tool_was_revoked() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await answer.wait()
        writer.write(json_answer(result({"content": []})))
        await reader.read()

    async with (
        serving(script) as backend,
        sidecar_for(backend.port) as (sidecar, port),
        client_of(port) as client,
    ):
        waiting = asyncio.get_running_loop().create_task(client.rpc(call("search")))
        await asyncio.wait_for(asked.wait(), 5)
        sidecar.use(policy(POLICY.replace("[search, ", "[")))
        answer.set()
        assert (await asyncio.wait_for(waiting, 5))[1] == result({"content": []})
        async with client_of(port) as later:
            assert "error" in (await later.rpc(call("search")))[1]


async def test_a_host_that_became_a_backend_after_the_start_takes_a_restart(tmp_path: Path) -> None:
    script, _ = answering(json_answer(result({})))
    async with serving(script) as backend, sidecar_for(backend.port) as (plain, _):
        sidecar = Sidecar(replace(plain.config, interception=tmp_path), load_texts([("p.yaml", POLICY)]))
        addresses = await sidecar.start()
        new = POLICY.replace("tls: {mode: None}", "tls: {mode: Public}", 1)
        sidecar.use(policy(new))
        async with client_of(int(addresses["forward"].rpartition(":")[2])) as client:
            await client.send(
                b"CONNECT github.tools.svc:8080 HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n"
            )
            await client.head()
            await client.send(b"\x16\x03\x01\x00\x05hello")
            assert (await asyncio.wait_for(client.reader.read(), 5))[:1] == b"\x15"
        refused = ("client", Reason.INTERCEPTION_UNAVAILABLE)
        assert sidecar.metrics.value(names.REFUSED_MESSAGES, refused) == 1
        sidecar.stop()
        await sidecar.drain()


def test_backends_that_did_not_change_stay_the_same_objects() -> None:
    def compiled(*documents: object, before: Policy | None = None) -> Policy:
        def compile_(found: object, labels: object) -> Policy:
            return compile_policy(found, labels=labels, namespace="agents")  # type: ignore[arg-type]

        return policy_of(configuration("v", *documents), compile_, before.backends if before else ())  # type: ignore[arg-type]

    first = compiled(granting("search"))
    second = compiled(granting("list"), before=first)
    assert first.backends[0] is second.backends[0]
    changed = {**granting("list"), "kind": "Backend", "metadata": {"name": "more", "namespace": "agents"}}
    with pytest.raises(ConfigurationRefused) as refused:
        compiled(changed, before=first)
    assert refused.value.reason is Reason.CONFIGURATION_INVALID
    assert len(refused.value.errors) >= 1


def test_what_is_told_of_many_faults_is_cut_to_what_the_protocol_carries() -> None:
    refused = ConfigurationRefused(Reason.CONFIGURATION_INVALID, tuple("x" * 100 for _ in range(100)))
    assert len(refused.detail) == 4000
    assert refused.detail.endswith("…")
