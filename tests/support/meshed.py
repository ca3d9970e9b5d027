"""Two sidecars with identities of a test authority, and mutual TLS between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mesh.identity.ca import Authority, make_authority
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.policy.load import load_texts
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
from sidecar.identity.provider import Identity
from sidecar.limits import Limits

TRIAGE = "spiffe://test.mesh/ns/agents/sa/triage"
GITHUB = "spiffe://test.mesh/ns/tools/sa/github"

CLIENT_POLICY = f"""
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {{name: github}}
spec:
  protocol: MCP
  host: github.tools.svc
  port: 8080
  path: /mcp
  tls: {{mode: Mesh, identity: "{GITHUB}"}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: triage}}
spec:
  outbound:
  - backend: github
    tools: {{allow: ["*"]}}
"""

SERVER_POLICY = f"""
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: github}}
spec:
  inbound:
  - from: ["{TRIAGE}"]
    mcp:
      tools: {{allow: [search, "list_*"]}}
"""


class Published:
    """A provider that the test drives: what is put in is published."""

    def __init__(self, first: Identity | None) -> None:
        self._queue: asyncio.Queue[Identity] = asyncio.Queue()
        if first is not None:
            self._queue.put_nowait(first)

    def put(self, identity: Identity) -> None:
        self._queue.put_nowait(identity)

    async def run(self, publish: Callable[[Identity], None]) -> None:
        while True:
            publish(await self._queue.get())


@dataclass
class Mesh:
    """An authority and what it issues."""

    authority: Authority

    def identity(self, spiffe_id: str, *, expired: bool = False, seconds: float = 3600) -> Identity:
        lifetime = timedelta(seconds=seconds)
        issued = datetime.now(UTC) - (2 * lifetime if expired else timedelta())
        svid = new_svid(self.authority, SpiffeId.parse(spiffe_id), issued, lifetime)
        bundle = self.authority.bundle
        return Identity(svid, {bundle.trust_domain: bundle})


def new_mesh(trust_domain: str = "test.mesh") -> Mesh:
    """A fresh authority."""
    return Mesh(make_authority(trust_domain, datetime.now(UTC) - timedelta(hours=3), timedelta(days=1)))


@asynccontextmanager
async def server_side(
    provider: Published, application_port: int, *, policy: str = SERVER_POLICY, limits: Limits | None = None
) -> AsyncIterator[tuple[Sidecar, int]]:
    """A sidecar beside a server; gives it and its inbound port."""
    config = _config(provider, ListenSettings(None, ("127.0.0.1", 0), ("127.0.0.1", 0)))
    config = replace(config, application=ApplicationSettings("127.0.0.1", (application_port,)))
    config = replace(config, limits=limits or config.limits)
    async with _running(config, policy, provider) as (sidecar, addresses):
        yield sidecar, _port(addresses["inbound"])


@asynccontextmanager
async def client_side(
    provider: Published, inbound_port: int, *, policy: str = CLIENT_POLICY, limits: Limits | None = None
) -> AsyncIterator[tuple[Sidecar, int]]:
    """A sidecar beside an agent; gives it and its proxy port."""
    config = _config(provider, ListenSettings(("127.0.0.1", 0), None, ("127.0.0.1", 0)))
    config = replace(config, connect={"github.tools.svc:8080": f"127.0.0.1:{inbound_port}"})
    config = replace(config, limits=limits or config.limits)
    async with _running(config, policy, provider) as (sidecar, addresses):
        yield sidecar, _port(addresses["forward"])


def _config(provider: Published, listen: ListenSettings) -> SidecarConfig:
    return SidecarConfig(
        AgentSettings("agents", "triage"),
        IdentitySettings(Provider.WORKLOAD_API),
        listen,
        ApplicationSettings(),
        (Path("policies.yaml"),),
        {},
        replace(Limits(), drain_seconds=0.5),
        Decisions.NONE,
    )


@asynccontextmanager
async def _running(
    config: SidecarConfig, policy: str, provider: Published
) -> AsyncIterator[tuple[Sidecar, dict[str, str]]]:
    sidecar = Sidecar(config, load_texts([("policies.yaml", policy)]), provider)
    addresses = await sidecar.start()
    try:
        yield sidecar, addresses
    finally:
        sidecar.stop()
        await sidecar.drain()


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
