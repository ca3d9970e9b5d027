"""Hidden secrets in a whole sidecar: the agent holds placeholders, and only their Backend gets the secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

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
from sidecar.hidden.variables import HiddenVariable
from sidecar.limits import Limits
from sidecar.telemetry import names
from tests.support.fakes import Lines
from tests.support.loopback import Client, answering, call, client_of, json_answer, result, serving

FAKE = "outrider-hidden-" + "0123456789abcdef" * 2
SECRET = 'ghp_"quoted"\\secret'
POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github}
spec: {protocol: HTTP, host: 127.0.0.1, port: PORT, path: /api, tls: {mode: None},
       credential: {hidden: {variables: [GITHUB_TOKEN]}}}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: other}
spec: {protocol: HTTP, host: 127.0.0.1, port: PORT, path: /other, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  outbound: [{backend: github}, {backend: other}]
"""
MCP_POLICY = POLICY.replace(
    "protocol: HTTP, host: 127.0.0.1, port: PORT, path: /api",
    "protocol: MCP, host: 127.0.0.1, port: PORT, path: /api",
).replace("{backend: github}", "{backend: github, tools: {allow: ['*']}}")


@dataclass
class Pod:
    sidecar: Sidecar
    agent: Client
    port: int
    sent: list[tuple[bytes, bytes]]
    file: Path

    async def ask(
        self, path: str, body: bytes = b"", method: str = "POST", **fields: str
    ) -> tuple[int, Any, bytes]:
        fields = {"host": f"127.0.0.1:{self.port}", "content-length": str(len(body)), **fields}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        await self.agent.send(
            f"{method} http://127.0.0.1:{self.port}{path} HTTP/1.1\r\n{lines}\r\n".encode() + body
        )
        return await self.agent.answer()


@asynccontextmanager
async def pod(tmp_path: Path, *answers: bytes, policy: str = POLICY) -> AsyncIterator[Pod]:
    script, sent = answering(*(answers or (json_answer({"ok": True}),)))
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    async with serving(script) as server:
        config = SidecarConfig(
            AgentSettings("agents", "triage"),
            IdentitySettings(),
            ListenSettings(("127.0.0.1", 0), None, ("127.0.0.1", 0)),
            ApplicationSettings(),
            (Path("policies.yaml"),),
            {},
            replace(Limits(), drain_seconds=0.5),
            Decisions.NONE,
            hidden_secrets={FAKE: HiddenVariable("app", "GITHUB_TOKEN", (file,))},
        )
        sidecar = Sidecar(config, load_texts([("policies.yaml", policy.replace("PORT", str(server.port)))]))
        port = int((await sidecar.start())["forward"].rpartition(":")[2])
        try:
            async with client_of(port) as agent:
                yield Pod(sidecar, agent, server.port, sent, file)
        finally:
            sidecar.stop()
            await sidecar.drain()


async def test_the_backend_gets_the_secret_wherever_the_placeholder_stood(tmp_path: Path) -> None:
    async with pod(tmp_path) as p:
        basic = base64.b64encode(f"user:{FAKE}".encode()).decode()
        body = json.dumps({"token": FAKE, "text": f"a {FAKE} b"}).encode()
        status, _, _ = await p.ask(
            f"/api?key={FAKE}",
            body,
            authorization=f"Basic {basic}",
            x_key=FAKE,
            content_type="application/json",
        )
        assert status == 200
        ((head, got),) = p.sent
        assert FAKE.encode() not in head + got
        assert json.loads(got) == {"token": SECRET, "text": f"a {SECRET} b"}
        assert base64.b64encode(f"user:{SECRET}".encode()) in head
        assert f"x-key: {SECRET}".encode() in head
        assert b"key=ghp_%22quoted%22%5Csecret" in head
        assert f"content-length: {len(got)}".encode() in head


async def test_a_tool_call_gets_it_too(tmp_path: Path) -> None:
    answer = json_answer(result({"content": [{"type": "text", "text": SECRET}]}))
    async with pod(tmp_path, answer, policy=MCP_POLICY) as p:
        body = json.dumps(call("search", q=FAKE)).encode()
        _, _, shown = await p.ask(
            "/api", body, content_type="application/json", accept="application/json, text/event-stream"
        )
        assert json.loads(p.sent[0][1])["params"]["arguments"] == {"q": SECRET}
        assert json.loads(shown)["result"]["content"][0]["text"] == FAKE


@pytest.mark.parametrize(
    ("path", "fields", "body"),
    [
        (f"/other?x={FAKE}", {}, b""),
        ("/other", {"authorization": f"Bearer {FAKE}"}, b""),
        ("/other", {"authorization": "Basic " + base64.b64encode(f"{FAKE}:".encode()).decode()}, b""),
        ("/other", {}, b'{"a": "' + FAKE.encode() + b'"}'),
        ("/other", {}, b"x" * 100_000 + FAKE.encode() + b"y" * 10),
    ],
)
async def test_at_another_backend_it_is_stopped_and_counted(
    tmp_path: Path, path: str, fields: dict[str, str], body: bytes
) -> None:
    async with pod(tmp_path) as p:
        status, _, answer = await p.ask(path, body, **fields)
        assert status == 403
        assert json.loads(answer)["reason"] == "placeholder_stopped"
        assert "GITHUB_TOKEN of container app" in json.loads(answer)["detail"]
        assert p.sent == []
        assert p.sidecar.metrics.value(names.PLACEHOLDERS_STOPPED, ("other",)) == 1


async def test_an_echo_comes_back_as_the_placeholder(tmp_path: Path) -> None:
    echo = json_answer({"you": SECRET}, x_echo=SECRET)
    async with pod(tmp_path, echo) as p:
        _, fields, body = await p.ask("/api", b"", "GET", authorization=f"Bearer {FAKE}")
        assert json.loads(body) == {"you": FAKE}
        assert fields["x-echo"] == FAKE


async def test_a_rotated_secret_is_used_soon(tmp_path: Path) -> None:
    async with pod(tmp_path) as p:
        await p.ask("/api", b"", "GET", x_key=FAKE)
        search = p.sidecar.pipeline.departure.search
        assert search is not None
        p.file.write_text("another")
        search.hidden._given.clear()
        await p.ask("/api", b"", "GET", x_key=FAKE)
        assert b"x-key: another\r\n" in p.sent[1][0]


async def test_a_secret_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pod(tmp_path) as p:
        lines = Lines()
        monkeypatch.setattr(p.sidecar.recorder, "log", lines)
        p.file.unlink()
        status, _, body = await p.ask("/api", b"", "GET", x_key=FAKE)
        told = json.loads(body)
        assert (status, told["reason"]) == (503, "credential_secret_missing")
        assert "GITHUB_TOKEN of container app (hide-secrets)" in told["detail"]
        assert FAKE not in body.decode()
        assert p.sent == []
        assert lines.events() == ["upstream_failure"]
        assert "GITHUB_TOKEN of container app (hide-secrets)" in repr(lines.lines)
        assert FAKE not in repr(lines.lines)


async def test_a_compressed_body_for_its_backend_is_refused(tmp_path: Path) -> None:
    async with pod(tmp_path) as p:
        status, _, body = await p.ask("/api", b"\x1f\x8b", content_encoding="gzip")
        assert (status, json.loads(body)["reason"]) == (415, "placeholder_unreadable")
        assert p.sent == []


async def test_a_request_that_is_stopped_does_not_read_as_allowed(tmp_path: Path) -> None:
    async with pod(tmp_path) as p:
        await p.ask("/other", b"", "GET", x_key=FAKE)
        counted = p.sidecar.metrics.value
        assert counted(names.REQUESTS, ("outbound", "other", "http", "placeholder_stopped")) == 1
        assert not counted(names.UPSTREAM_FAILURES, ("other", "placeholder_stopped"))
