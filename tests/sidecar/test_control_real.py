"""A sidecar and the real control plane as processes: identity and configuration from one place."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from mesh.identity.bundle_document import jwk_of
from sidecar.control.in_memory import disk_below
from tests.support.ca import AUDIENCE, ISSUER, TokenIssuer, WallClock
from tests.support.control_plane import BACKEND, granting
from tests.support.loopback import answering, call, client_of, json_answer, result, serving
from tests.support.slow import until
from webhook.identity.serving_certificate import ROOT_FILE

SECONDS = 60
"""More than the longest delay between two attempts of a sidecar."""


class Running:
    """A process whose lines of JSON are read one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen: list[dict[str, Any]] = []

    async def line(self, wanted: Any, stream: asyncio.StreamReader | None) -> dict[str, Any]:
        assert stream is not None
        async with asyncio.timeout(SECONDS):
            while raw := await stream.readline():
                self.seen.append(json.loads(raw))
                if wanted(self.seen[-1]):
                    return self.seen[-1]
        raise AssertionError(f"it ended: {self.seen}")

    async def kill(self) -> None:
        """As a kernel does that has no memory left."""
        self.process.kill()
        await self.process.wait()

    async def event(self, name: str) -> dict[str, Any]:
        return await self.line(lambda found: found["event"] == name, self.process.stderr)


@asynccontextmanager
async def started(*arguments: str, **variables: str) -> AsyncIterator[Running]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdout=pipe, stderr=pipe, env={**own, **variables}
    )
    try:
        yield Running(process)
        if process.returncode != -signal.SIGKILL:
            process.terminate()
            assert await asyncio.wait_for(process.wait(), SECONDS) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def prepared(folder: Path) -> Path:
    """Keys, a token and documents; returns the folder of the documents."""
    issuer = TokenIssuer(WallClock())
    keys = {"keys": [jwk_of(issuer.key.public_key(), kid="k1")]}
    (folder / "issuer.json").write_bytes(msgspec.json.encode(keys))
    (folder / "token").write_text(issuer.token())
    documents = folder / "documents"
    documents.mkdir()
    (folder / "state").mkdir()
    write(documents, granting("search"))
    return documents


def write(documents: Path, *found: dict[str, Any]) -> None:
    (documents / "a.yaml").write_text(yaml.safe_dump_all([BACKEND, *found]))


def variables(folder: Path, url: str, backend: int) -> dict[str, str]:
    settings = {
        "AGENT_NAMESPACE": "agents",
        "AGENT_NAME": "triage-1",
        "AGENT_UID": "2",
        "IDENTITY_PROVIDER": "builtin",
        "LISTEN_FORWARD": "127.0.0.1:0",
        "LISTEN_TELEMETRY": "127.0.0.1:0",
        "CONTROL_URL": url,
        "CONTROL_ROOTS": (folder / "serving" / ROOT_FILE).read_text(),
        "CONTROL_TOKEN": str(folder / "token"),
        "CONTROL_STATE": str(folder / "state"),
        "CONNECT": json.dumps({"github.tools.svc:8080": f"127.0.0.1:{backend}"}),
    }
    return {f"OUTRIDER_{name}": value for name, value in settings.items()}


async def allowed(forward: str, tool: str) -> bool:
    async with client_of(int(forward.rpartition(":")[2])) as client:
        return "result" in (await client.rpc(call(tool)))[1]


def plane_options(folder: Path) -> list[str]:
    """What the control plane is begun with, on a port of its own choice."""
    documents = prepared(folder)
    options = [f"--documents={documents}", "--trust-domain=a.example", "--listen=127.0.0.1:0"]
    options += [f"--issuer={ISSUER}", f"--audience={AUDIENCE}", f"--serving={folder / 'serving'}"]
    return [*options, f"--issuer-keys={folder / 'issuer.json'}"]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that is in memory, as an emptyDir of the medium Memory is."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


async def test_identity_and_policies_come_from_the_control_plane_and_change_while_it_runs(
    tmp_path: Path,
) -> None:
    options = plane_options(tmp_path)
    documents = tmp_path / "documents"
    script, _ = answering(json_answer(result({"content": []})))
    async with serving(script) as backend, started("webhook.distribution", *options) as plane:
        ready = await plane.line(lambda found: "url" in found, plane.process.stdout)
        async with started("sidecar", **variables(tmp_path, ready["url"], backend.port)) as sidecar:
            identity = await sidecar.event("identity")
            assert identity["spiffe_id"] == "spiffe://a.example/ns/agents/sa/triage"
            await sidecar.event("control_connected")
            assert (await sidecar.event("configuration"))["policies"] == ["AgentPolicy/triage"]
            forward = (await sidecar.event("ready"))["forward"]
            assert await allowed(forward, "search")
            write(documents, granting("list"))
            await sidecar.event("configuration")
            assert await allowed(forward, "list")
            assert not await allowed(forward, "search")


async def test_a_sidecar_that_is_killed_serves_again_while_the_control_plane_is_away(
    tmp_path: Path, memory: Path
) -> None:
    options = plane_options(tmp_path)
    script, _ = answering(json_answer(result({"content": []})))
    async with serving(script) as backend:
        async with started("webhook.distribution", *options) as plane:
            url = (await plane.line(lambda found: "url" in found, plane.process.stdout))["url"]
            own = variables(tmp_path, url, backend.port) | {"OUTRIDER_CONTROL_STATE": str(memory)}
            async with started("sidecar", **own) as first:
                before = await first.event("identity")
                await first.event("ready")
                await until(lambda: {"identity", "configuration"} <= names(memory))
                await first.kill()
        assert (memory / "identity").stat().st_mode & 0o777 == 0o600
        async with started("sidecar", **own) as second:
            ready = await second.event("ready")
            found = {line["event"]: line for line in second.seen}
            assert found["identity"] == {**before, **_moment(found["identity"])}
            assert found["configuration"]["source"] == "saved"
            assert await allowed(ready["forward"], "search")
            assert not await allowed(ready["forward"], "list")
            # It goes on from there once the control plane is back, which has other keys and the same name.
            options[2] = f"--listen={url.removeprefix('https://')}"
            async with started("webhook.distribution", *options):
                after = await second.event("identity")
                while after["serial"] == before["serial"]:
                    after = await second.event("identity")
                # Before that by its token, or after that by its new SVID.
                if not any(line["event"] == "control_connected" for line in second.seen):
                    await second.event("control_connected")


async def test_where_the_state_is_on_a_disk_a_sidecar_keeps_no_key_and_says_why(tmp_path: Path) -> None:
    options = plane_options(tmp_path)
    if disk_below(tmp_path) is None:
        pytest.skip("this machine's temporary folder is in memory")
    async with started("webhook.distribution", *options) as plane:
        url = (await plane.line(lambda found: "url" in found, plane.process.stdout))["url"]
        async with started("sidecar", **variables(tmp_path, url, 1)) as sidecar:
            await sidecar.event("ready")
            (told,) = [line for line in sidecar.seen if line["event"] == "identity_not_kept"]
            assert "a key never touches a disk" in told["detail"]
            await until(lambda: "configuration" in names(tmp_path / "state"))
            assert "identity" not in names(tmp_path / "state")


@asynccontextmanager
async def cuttable(port: int) -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """A way to what listens at `port` of loopback, and how to cut every connection that goes by it."""
    ends: set[asyncio.StreamWriter] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection("127.0.0.1", port)
        ends.update((writer, there))
        await asyncio.gather(pump(reader, there), pump(there_reader, writer))

    def cut() -> None:
        for end in ends:
            end.transport.abort()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        server.close()
        cut()


async def test_an_svid_that_the_control_plane_refuses_is_renewed_at_once(tmp_path: Path) -> None:
    """Keys leaked: nobody waits for half of its SVID's life, nor for the next look at the bundles."""
    options = plane_options(tmp_path)
    async with started("webhook.distribution", *options) as plane:
        url = (await plane.line(lambda found: "url" in found, plane.process.stdout))["url"]
        async with cuttable(int(url.rpartition(":")[2])) as (port, cut):
            own = variables(tmp_path, f"https://127.0.0.1:{port}", 1)
            async with started("sidecar", **own) as sidecar:
                before = await sidecar.event("identity")
                assert (await sidecar.event("control_connected"))["by"] == "svid"
                await sidecar.event("ready")
                plane.process.send_signal(signal.SIGUSR1)
                cut()
                after = await sidecar.event("identity")
                while after["serial"] == before["serial"]:
                    after = await sidecar.event("identity")
                told = [line["detail"] for line in sidecar.seen if line["event"] == "control_problem"]
                assert any("seen our SVID" in detail for detail in told)
                assert not any(line["event"] == "identity_problem" for line in sidecar.seen)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _moment(line: dict[str, Any]) -> dict[str, Any]:
    """What differs in two lines that say the same."""
    return {name: value for name, value in line.items() if name in ("time", "ts", "at")}
