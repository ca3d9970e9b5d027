"""Sidecars as processes while their control plane is gone, or sends what cannot be compiled (design, failures)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.control_plane import ControlPlaneServer, configuration, control_plane, granting, sealed
from tests.support.loopback import answering, call, client_of, json_answer, result, serving

SEARCH = sealed(configuration("any", granting("search")))
LIST = sealed(configuration("any", granting("list")))
BROKEN = sealed(configuration("any", granting("search", mode="perhaps")))


def variables(plane: ControlPlaneServer, backend: int, state: Path | None) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    settings = {
        "AGENT_NAMESPACE": "agents",
        "AGENT_NAME": "triage-1",
        "AGENT_UID": "uid",
        "IDENTITY_PROVIDER": "none",
        "LISTEN_FORWARD": "127.0.0.1:0",
        "LISTEN_TELEMETRY": "127.0.0.1:0",
        "CONTROL_URL": f"https://localhost:{plane.port}",
        "CONTROL_ROOTS": plane.roots,
        "CONTROL_TOKEN": str(plane.token),
        "CONTROL_STATE": str(state or ""),
        "CONNECT": json.dumps({"github.tools.svc:8080": f"127.0.0.1:{backend}"}),
    }
    return own | {f"OUTRIDER_{name}": value for name, value in settings.items() if value}


class Process:
    """One sidecar, and the events that it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen: list[dict[str, Any]] = []

    async def event(self, name: str) -> dict[str, Any]:
        """The next line about `name`."""
        assert self.process.stderr is not None
        async with asyncio.timeout(15):
            while line := await self.process.stderr.readline():
                self.seen.append(json.loads(line))
                if self.seen[-1]["event"] == name:
                    return self.seen[-1]
        raise AssertionError(f"it ended without {name}: {self.seen}")


@asynccontextmanager
async def started(
    plane: ControlPlaneServer, backend: int, state: Path | None = None
) -> AsyncIterator[Process]:
    """A sidecar as a process; it must end well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sidecar",
        stderr=asyncio.subprocess.PIPE,
        env=variables(plane, backend, state),
    )
    try:
        yield Process(process)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def port(ready: dict[str, Any], listener: str = "forward") -> int:
    return int(ready[listener].rpartition(":")[2])


async def allowed(forward: int, tool: str) -> bool:
    async with client_of(forward) as client:
        return "result" in (await client.rpc(call(tool)))[1]


async def page(telemetry: int, path: str) -> tuple[int, str]:
    async with client_of(telemetry) as client:
        await client.send(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        status, _, body = await client.answer()
        return status, body.decode()


def backend() -> Any:
    return serving(answering(json_answer(result({"content": []})))[0])


async def test_a_sidecar_outlives_its_control_plane_and_a_start_of_its_own(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    async with control_plane(tmp_path / "plane", SEARCH) as plane, backend() as server:
        async with started(plane, server.port, state) as first:
            ready = await first.event("ready")
            await plane.stop()
            assert (await first.event("control_problem"))["in_force"] == SEARCH.version
            assert await allowed(port(ready), "search")
            assert not await allowed(port(ready), "list")
            status, told = await page(port(ready, "telemetry"), "/readyz")
            assert (status, json.loads(told)["configuration"]["version"]) == (200, SEARCH.version)
            assert "outrider_control_connected 0" in (await page(port(ready, "telemetry"), "/metrics"))[1]
        async with started(plane, server.port, state) as second:
            ready = await second.event("ready")
            (restored,) = [line for line in second.seen if line["event"] == "configuration"]
            assert (restored["source"], restored["version"]) == ("saved", SEARCH.version)
            assert await allowed(port(ready), "search")
            plane.latest = LIST
            await plane.start()
            assert (await second.event("configuration"))["version"] == LIST.version
            assert not await allowed(port(ready), "search")


async def test_without_a_disk_a_start_waits_for_the_control_plane_and_stays_closed(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "plane", SEARCH) as plane, backend() as server:
        await plane.stop()
        async with started(plane, server.port) as sidecar:
            problem = await sidecar.event("control_problem")
            assert "cannot be reached" in problem["detail"]
            assert not any(line["event"] == "ready" for line in sidecar.seen)
            await plane.start()
            assert await allowed(port(await sidecar.event("ready")), "search")


async def test_a_bad_push_keeps_the_last_good_one_and_says_so(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "plane", SEARCH) as plane, backend() as server:
        async with started(plane, server.port) as sidecar:
            ready = await sidecar.event("ready")
            await plane.applied(SEARCH.version)
            plane.push(BROKEN)
            refused = await sidecar.event("configuration_refused")
            assert (refused["version"], refused["in_force"]) == (BROKEN.version, SEARCH.version)
            assert any("spec.mode" in error for error in refused["errors"])
            told = (await plane.until(lambda message: message.refused)).refused
            assert told is not None
            assert told.reason == "configuration_invalid"
            assert await allowed(port(ready), "search")
            health = json.loads((await page(port(ready, "telemetry"), "/readyz"))[1])
            assert health["ready"]
            assert health["configuration"]["refusal"]["version"] == BROKEN.version
            assert await allowed(port(ready), "search")


async def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "one", SEARCH) as plane, control_plane(tmp_path / "other") as other:
        plane.port, other.port = other.port, plane.port
        async with started(plane, 1) as sidecar:
            problem = await sidecar.event("control_problem")
            assert "is not vouched for by control.roots" in problem["detail"]
        plane.port, other.port = other.port, plane.port
