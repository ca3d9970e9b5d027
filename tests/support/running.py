"""A sidecar in the test's loop with both its listeners, between an application and whatever its policies name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from sidecar.limits import Limits
from tests.support.meshed import Published


@asynccontextmanager
async def running(
    policies: str, application: int, provider: Published, **settings: Any
) -> AsyncIterator[tuple[Sidecar, dict[str, int]]]:
    """Gives the sidecar and its ports by listener. `application`: its port; `settings`: those that differ."""
    config = SidecarConfig(
        AgentSettings("agents", "triage"),
        IdentitySettings(Provider.WORKLOAD_API),
        ListenSettings(("127.0.0.1", 0), ("127.0.0.1", 0), ("127.0.0.1", 0)),
        ApplicationSettings("127.0.0.1", (application,)),
        (Path("policies.yaml"),),
        {},
        replace(Limits(), drain_seconds=0.2),
        Decisions.ALL,
    )
    sidecar = Sidecar(replace(config, **settings), load_texts([("policies.yaml", policies)]), provider)
    bound = {name: int(address.rpartition(":")[2]) for name, address in (await sidecar.start()).items()}
    try:
        yield sidecar, bound
    finally:
        sidecar.stop()
        await sidecar.drain()
