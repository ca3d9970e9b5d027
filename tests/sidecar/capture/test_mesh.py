"""Who is let in: asked once, when a peer has proved who it is and before it is read."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from sidecar.capture.mesh import LINGER_SECONDS
from sidecar.identity.holder import IdentityHolder
from sidecar.limits import Limits
from sidecar.proxy.tls import mesh_client
from sidecar.telemetry import names
from tests.support.loopback import answering, call, client_of, json_answer, result, serving
from tests.support.meshed import GITHUB, SERVER_POLICY, TRIAGE, Published, client_side, new_mesh, server_side
from tests.support.slow import until

LOOPS = ("asyncio", "uvloop")
STRANGER = "spiffe://test.mesh/ns/agents/sa/stranger"
NOBODY = SERVER_POLICY[: SERVER_POLICY.index("  inbound")] + "  outbound: []\n"


async def test_a_peer_that_no_rule_names_is_told_so_and_is_not_read() -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({})))
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (server, inbound),
        client_side(Published(mesh.identity(STRANGER)), inbound) as (_, port),
        client_of(port) as client,
    ):
        status, answer = await client.rpc(call("search"))
        assert (status, answer["reason"]) == (403, "peer_not_allowed")
        assert "AgentPolicy/github inbound" in answer["detail"]
        assert server.metrics.value(names.HANDSHAKES, ("inbound", "peer_not_allowed")) == 1
        assert server._listeners["inbound"].count == 0
    assert seen == []


async def test_a_workload_without_inbound_rules_lets_nobody_in() -> None:
    mesh = new_mesh()
    async with (
        server_side(Published(mesh.identity(GITHUB)), 1, policy=NOBODY) as (_, inbound),
        client_side(Published(mesh.identity(TRIAGE)), inbound) as (_, port),
        client_of(port) as client,
    ):
        status, answer = await client.rpc(call("search"))
    assert (status, answer["reason"]) == (403, "no_inbound_rule")


async def test_under_observe_a_stranger_is_let_in_and_recorded() -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({})))
    policy = SERVER_POLICY.replace("spec:\n", "spec:\n  mode: observe\n")
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=policy) as (_, inbound),
        client_side(Published(mesh.identity(STRANGER)), inbound) as (_, port),
        client_of(port) as client,
    ):
        status, _ = await client.rpc(call("search"))
    assert (status, len(seen)) == (200, 1)


class Silent(asyncio.Protocol):
    """A peer that connects and says nothing."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def test_a_stranger_that_says_nothing_does_not_stay() -> None:
    mesh = new_mesh()
    async with (
        server_side(Published(mesh.identity(GITHUB)), 1) as (server, inbound),
        asyncio.timeout(5 * LINGER_SECONDS),
    ):
        holder = IdentityHolder()
        holder.publish(mesh.identity(STRANGER))
        silent = Silent()
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: mesh_client(silent, holder), "127.0.0.1", inbound)
        await silent.lost.wait()
        await until(lambda: server._listeners["inbound"].shaking_hands == 0)
        assert server._listeners["inbound"].count == 0


async def test_connections_beyond_the_bound_are_closed_and_leave_nothing_open() -> None:
    mesh = new_mesh()
    limits = replace(Limits(), drain_seconds=0.5, connections=1)
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
    async with server_side(Published(mesh.identity(GITHUB)), 1, limits=limits) as (_, inbound):
        async with client_of(inbound):
            for _ in range(20):
                async with client_of(inbound) as second:
                    with contextlib.suppress(ConnectionResetError):
                        assert await asyncio.wait_for(second.reader.read(1), 5) == b""
    assert problems == []
