"""Limits that two sidecars share, counted by a real store; and what holds while it is gone."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2e.rates.conftest import PASSWORD, Server
from mesh.policy.guardrails import Rate
from mesh.policy.load import load_texts
from sidecar.app import Sidecar
from sidecar.config import (
    AgentSettings,
    ApplicationSettings,
    Decisions,
    IdentitySettings,
    ListenSettings,
    SidecarConfig,
)
from sidecar.limits import Limits
from sidecar.rates.bucket import NANOSECONDS, NEVER
from sidecar.rates.shared import Entry, Store, StoreUnavailable, connected
from sidecar.settings import RateStoreSettings
from sidecar.telemetry import names
from tests.support.loopback import POLICY, answering, call, client_of, json_answer, result, serving

ANSWER = json_answer(result({"content": []}))


def limited(rate: str) -> str:
    return POLICY.replace("  - backend: github\n", f"  - backend: github\n    rateLimit: {rate}\n", 1)


@asynccontextmanager
async def sidecar_at(
    backend: int, rate: str, url: str, password: Path | None = None
) -> AsyncIterator[tuple[Sidecar, int]]:
    config = SidecarConfig(
        AgentSettings("agents", "triage"),
        IdentitySettings(),
        ListenSettings(("127.0.0.1", 0), None, ("127.0.0.1", 0)),
        ApplicationSettings(),
        (Path("policies.yaml"),),
        {"github.tools.svc:8080": f"127.0.0.1:{backend}"},
        replace(Limits(), drain_seconds=0.5, rate_store_seconds=2.0),
        Decisions.NONE,
        rate_store=RateStoreSettings(url, password),
    )
    sidecar = Sidecar(config, load_texts([("policies.yaml", limited(rate))]))
    addresses = await sidecar.start()
    try:
        yield sidecar, int(addresses["forward"].rpartition(":")[2])
    finally:
        sidecar.stop()
        await sidecar.drain()


def answers(sidecar: Sidecar) -> bool:
    return "outrider_rate_store_answers 1.0" in sidecar.metrics.exposition()


async def until_it(sidecar: Sidecar, there: bool) -> None:
    async with asyncio.timeout(30):
        while answers(sidecar) is not there:
            await asyncio.sleep(0.02)


async def asked(port: int, times: int = 1) -> list[Any]:
    async with client_of(port) as client:
        return [(await client.rpc(call("search")))[1] for _ in range(times)]


def reasons(got: list[Any]) -> list[str | None]:
    return [one["error"]["data"]["reason"] if "error" in one else None for one in got]


async def test_two_sidecars_share_one_count(store: Server) -> None:
    rate = "{requests: 3, per: hour, shared: true, concurrent: 5}"
    script, seen = answering(ANSWER)
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(serving(script))
        ports = []
        for _ in range(2):
            sidecar, port = await stack.enter_async_context(sidecar_at(backend.port, rate, store.url))
            await until_it(sidecar, True)
            ports.append(port)
        got = [await asked(port, 2) for port in ports]
    assert reasons(got[0] + got[1]) == [None, None, None, "rate_limited"]
    assert 1000 < got[1][1]["error"]["data"]["retryAfterSeconds"] <= 2 * 3600
    assert len(seen) == 3


async def test_a_password_is_read_from_its_file(server: Server, tmp_path: Path) -> None:
    server.arguments = ["--requirepass", PASSWORD]
    server.start()
    await server.up()
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    script, _ = answering(ANSWER)
    rate = "{requests: 1, per: hour, shared: true, failureMode: closed}"
    async with (
        serving(script) as backend,
        sidecar_at(backend.port, rate, server.url, file) as (sidecar, port),
    ):
        await until_it(sidecar, True)
        assert reasons(await asked(port, 2)) == [None, "rate_limited"]


@pytest.mark.parametrize(
    ("failure", "told"),
    [("open", [None, "rate_limited"]), ("closed", ["rate_store_unavailable"] * 2)],
)
async def test_while_the_store_is_gone_its_failure_mode_holds_and_then_the_store_counts_again(
    store: Server, failure: str, told: list[str | None]
) -> None:
    rate = f"{{requests: 1, per: hour, shared: true, failureMode: {failure}}}"
    script, _ = answering(ANSWER)
    async with serving(script) as backend, sidecar_at(backend.port, rate, store.url) as (sidecar, port):
        await until_it(sidecar, True)
        store.stop()
        assert reasons(await asked(port, 2)) == told
        await asked(port, 3)
        await until_it(sidecar, False)
        store.start()
        await until_it(sidecar, True)
        counted = await asked(port, 2)
        assert reasons(counted)[1] == "rate_limited"
        refused = sidecar.metrics.value(names.RATE_LIMITED, ("outbound", "github", "rate_store_unavailable"))
    assert (refused > 0) is (failure == "closed")


@pytest.fixture
async def windows(store: Server) -> AsyncIterator[Store]:
    told = asyncio.Event()
    found = connected(
        store.url,
        timeout=2.0,
        password_file=None,
        authorities=None,
        more_authorities="",
        told=lambda answers, _: told.set() if answers else None,
    )
    found.start()
    await told.wait()
    yield found
    await found.close()


async def test_of_several_windows_all_have_room_or_none_is_touched(windows: Store) -> None:
    wide, narrow = Rate(3, 3600.0), Rate(1, 3600.0)
    both = [Entry(("wide",), wide, 1), Entry(("narrow",), narrow, 1)]
    assert await windows.take(both) == (0, -1)
    wait, index = await windows.take(both)
    assert (wait > 0, index) == (True, 1)
    assert await windows.take([Entry(("wide",), wide, 2)]) == (0, -1)
    assert (await windows.take([Entry(("wide",), wide, 1)]))[0] > 0
    assert (await windows.take([Entry(("narrow",), narrow, 2)]))[0] == NEVER


async def test_the_time_that_is_told_is_when_the_window_has_room(windows: Store) -> None:
    entry = Entry(("soon",), Rate(2, 1.0), 1)
    for _ in range(2):
        assert (await windows.take([entry]))[0] == 0
    wait, _ = await windows.take([entry])
    assert 0 < wait <= 2 * NANOSECONDS
    await asyncio.sleep(wait / NANOSECONDS + 0.01)
    assert (await windows.take([entry]))[0] == 0


async def test_many_at_once_never_pass_beyond_the_rate(windows: Store) -> None:
    entry = Entry(("crowd",), Rate(25, 3600.0), 1)
    taken = await asyncio.gather(*(windows.take([entry]) for _ in range(200)))
    assert sum(wait == 0 for wait, _ in taken) == 25


async def test_a_store_that_hangs_is_unavailable_in_time(windows: Store, store: Server) -> None:
    assert store.process is not None
    store.process.send_signal(signal.SIGSTOP)
    windows._timeout = 0.05
    before = asyncio.get_running_loop().time()
    try:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await windows.take([Entry(("x",), Rate(1, 1.0), 1)])
        assert asyncio.get_running_loop().time() - before < 2
        assert not windows.answers
    finally:
        store.process.send_signal(signal.SIGCONT)
