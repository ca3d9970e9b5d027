"""One sidecar from start to end: what it waits for, what it says of itself, who gets in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.policy.load import load_texts
from mesh.reasons import Reason
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
from sidecar.limits import Limits
from sidecar.proxy.listener import bind_error
from sidecar.telemetry import names
from tests.support.loopback import (
    POLICY,
    answering,
    call,
    client_of,
    json_answer,
    result,
    serving,
    sidecar_for,
    unready,
)
from tests.support.meshed import CLIENT_POLICY, GITHUB, TRIAGE, Published, new_mesh, server_side
from tests.support.slow import until

ANY = ("127.0.0.1", 0)
LIMITS = replace(Limits(), drain_seconds=0.5)


def config(identity: IdentitySettings | None = None) -> SidecarConfig:
    return SidecarConfig(
        AgentSettings("agents", "triage"),
        identity or IdentitySettings(),
        ListenSettings(ANY, None, ANY),
        ApplicationSettings(),
        (Path("policies.yaml"),),
        {},
        LIMITS,
        Decisions.NONE,
    )


def waiting(provider: Published) -> Sidecar:
    """A sidecar that needs an identity."""
    needs = config(IdentitySettings(Provider.WORKLOAD_API))
    return Sidecar(needs, load_texts([("policies.yaml", CLIENT_POLICY)]), provider)


async def test_before_its_first_svid_it_answers_probes_and_nothing_else() -> None:
    provider = Published(None)
    sidecar = waiting(provider)
    starting = asyncio.get_running_loop().create_task(sidecar.start())
    await until(lambda: "telemetry" in sidecar.addresses)
    port = int(sidecar.addresses["telemetry"].rpartition(":")[2])
    async with client_of(port) as probe:
        await probe.send(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
        status, _, body = await probe.answer()
    told = json.loads(body)
    assert (status, told["ready"], told["identity"]) == (503, False, {"state": "waiting"})
    assert [reason["code"] for reason in told["reasons"]] == ["no_svid", "listener_not_bound"]
    assert told["listeners"] == {"telemetry": f"127.0.0.1:{port}", "forward": None}
    assert list(sidecar.addresses) == ["telemetry"]
    provider.put(new_mesh().identity(TRIAGE))
    addresses = await asyncio.wait_for(starting, 60)
    assert sorted(addresses) == ["forward", "telemetry"]
    assert unready(sidecar) == ()
    sidecar.stop()
    assert unready(sidecar) == ("draining",)
    await sidecar.drain()


async def test_it_may_be_ended_while_it_waits_for_its_first_svid() -> None:
    sidecar = waiting(Published(None))
    starting = asyncio.get_running_loop().create_task(sidecar.start())
    await until(lambda: "telemetry" in sidecar.addresses)
    sidecar.stop()
    assert list(await asyncio.wait_for(starting, 60)) == ["telemetry"]
    await asyncio.wait_for(sidecar.serve(), 5)
    await sidecar.drain()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(number: signal.Signals) -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (sidecar, _):
        sidecar.handle_signals()
        try:
            running = asyncio.get_running_loop().create_task(sidecar.serve())
            os.kill(os.getpid(), number)
            await asyncio.wait_for(running, 60)
        finally:
            for handled in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().remove_signal_handler(handled)


async def test_connections_that_nobody_uses_any_more_are_closed() -> None:
    """Also without another request to the same backend."""
    script, _ = answering(json_answer(result({})))
    limits = replace(LIMITS, upstream_keep_alive_seconds=0.05)
    async with serving(script) as backend, sidecar_for(backend.port, limits=limits) as (sidecar, port):
        running = asyncio.get_running_loop().create_task(sidecar.serve())
        async with client_of(port) as client:
            await client.rpc(call("search"))
            await asyncio.wait_for(backend.lost.wait(), 5)
        sidecar.stop()
        await asyncio.wait_for(running, 60)


async def test_an_address_in_use_is_told_by_start() -> None:
    async with serving(answering(b"")[0]) as taken:
        listen = ListenSettings(("127.0.0.1", taken.port), None, None)
        sidecar = Sidecar(replace(config(), listen=listen), load_texts([("p.yaml", POLICY)]))
        with pytest.raises(OSError, match="in use") as caught:
            await sidecar.start()
        await sidecar.drain()
    assert "another process" in bind_error(caught.value)


async def test_an_expired_svid_lets_nobody_in() -> None:
    expired = Published(new_mesh().identity(GITHUB, expired=True))
    async with server_side(expired, 1) as (sidecar, port), client_of(port) as client:
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(client.reader.read(), 5) == b""
        refused = sidecar.metrics.value(names.HANDSHAKES, ("inbound", Reason.SVID_EXPIRED))
    assert refused == 1


async def test_connections_that_never_finish_their_handshake_count_against_the_bound() -> None:
    limits = replace(LIMITS, connections=2)
    provider = Published(new_mesh().identity(GITHUB))
    async with server_side(provider, 1, limits=limits) as (sidecar, port):
        async with client_of(port) as first, client_of(port), client_of(port) as third:
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(third.reader.read(), 5) == b""
            refused = sidecar.metrics.value(names.HANDSHAKES, ("inbound", Reason.TOO_MANY_CONNECTIONS))
            first.writer.close()
            await until(
                lambda: sidecar.metrics.value(names.HANDSHAKES, ("inbound", Reason.TLS_HANDSHAKE)) == 1
            )
            async with client_of(port):
                pass
        again = sidecar.metrics.value(names.HANDSHAKES, ("inbound", Reason.TOO_MANY_CONNECTIONS))
    assert (refused, again) == (1, 1)


async def test_a_peer_that_is_silent_in_its_handshake_is_dropped() -> None:
    limits = replace(LIMITS, handshake_seconds=0.05)
    provider = Published(new_mesh().identity(GITHUB))
    async with server_side(provider, 1, limits=limits) as (_, port), client_of(port) as client:
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(client.reader.read(), 5) == b""
