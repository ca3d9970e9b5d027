"""A sidecar and the real control plane as processes: identity and configuration from one place."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml

from mesh.identity.bundle_document import jwk_of
from tests.support.ca import AUDIENCE, ISSUER, TokenIssuer, WallClock
from tests.support.control_plane import BACKEND, granting
from tests.support.loopback import answering, call, client_of, json_answer, result, serving
from webhook.identity.serving_certificate import ROOT_FILE

SECONDS = 20


class Running:
    """A process whose lines of JSON are read one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self, wanted: Any, stream: asyncio.StreamReader | None) -> dict[str, Any]:
        assert stream is not None
        seen = []
        async with asyncio.timeout(SECONDS):
            while raw := await stream.readline():
                seen.append(json.loads(raw))
                if wanted(seen[-1]):
                    return seen[-1]
        raise AssertionError(f"it ended: {seen}")

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


async def test_identity_and_policies_come_from_the_control_plane_and_change_while_it_runs(
    tmp_path: Path,
) -> None:
    documents = prepared(tmp_path)
    options = [f"--documents={documents}", "--trust-domain=a.example", "--listen=127.0.0.1:0"]
    options += [f"--issuer={ISSUER}", f"--audience={AUDIENCE}", f"--serving={tmp_path / 'serving'}"]
    options += [f"--issuer-keys={tmp_path / 'issuer.json'}"]
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
