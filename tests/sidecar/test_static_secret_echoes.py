"""A Backend with a Secret in a header that shows what it was sent: the answer passes, without the secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

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
from sidecar.limits import Limits
from tests.support.loopback import Client, client_of, read_request, serving

SECRET = b"sk-static-0123456789"
POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: model}
spec: {protocol: HTTP, host: 127.0.0.1, port: PORT, tls: {mode: None},
       credential: {secret: {name: model, key: token, header: HEADER, scheme: ""}}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec: {outbound: [{backend: model}]}
"""


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A keep-alive server that answers with the head and the body that it got."""
    while True:
        said = b"".join(await read_request(reader))
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(said) + said
        )
        await writer.drain()


@asynccontextmanager
async def model(tmp_path: Path, header: str) -> AsyncIterator[tuple[Client, int]]:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "token").write_bytes(SECRET)
    async with serving(echo) as server:
        config = SidecarConfig(
            AgentSettings("agents", "triage"),
            IdentitySettings(),
            ListenSettings(("127.0.0.1", 0), None, ("127.0.0.1", 0)),
            ApplicationSettings(),
            (Path("policies.yaml"),),
            {},
            replace(Limits(), drain_seconds=0.2),
            Decisions.NONE,
            credentials=tmp_path,
        )
        text = POLICY.replace("PORT", str(server.port)).replace("HEADER", header)
        sidecar = Sidecar(config, load_texts([("policies.yaml", text)]))
        port = int((await sidecar.start())["forward"].rpartition(":")[2])
        try:
            async with client_of(port) as agent:
                yield agent, server.port
        finally:
            sidecar.stop()
            await sidecar.drain()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_an_echo_of_a_static_secret_passes_without_it(tmp_path: Path, header: str, method: str) -> None:
    async with model(tmp_path, header) as (agent, port):
        for _ in range(3):
            body = b"" if method == "GET" else b"hello"
            await agent.send(
                b"%b http://127.0.0.1:%d/echo HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %d\r\n\r\n%b"
                % (method.encode(), port, port, len(body), body)
            )
            async with asyncio.timeout(5):
                status, _, answer = await agent.answer()
            assert status == 200
            assert f"\r\n{header}: [outrider:credential]\r\n".encode() in answer
            assert answer.endswith(b"\r\n\r\n" + body)
            assert SECRET not in answer
