"""Who asks detectors, over a real pool and real sockets, and messages to ask about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mesh.policy.compile import compile_policy
from mesh.policy.load import load_texts
from sidecar.guardrails.external.assembly import Externals, externals
from sidecar.identity.holder import IdentityHolder
from sidecar.limits import Limits
from sidecar.proxy.dial import NetworkDialer
from sidecar.proxy.pool import Pool
from sidecar.proxy.ticker import Ticker
from sidecar.telemetry import names
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics


class Lines:
    """A sink of log lines."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def write(self, event: str, **fields: Any) -> None:
        self.told.append({"event": event, **fields})

    def events(self) -> list[str]:
        return [one["event"] for one in self.told]


class Desk:
    """Who asks, with all that it tells and a clock that a test moves."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.lines = Lines()
        self.time = 0.0
        self.outside: Externals

    def counted(self, outcome: str, name: str = "judge") -> int:
        return self.metrics.value(names.GUARD_EXTERNAL, (name, outcome))

    @property
    def log(self) -> Log:
        return self.lines  # type: ignore[return-value]

    def told(self) -> str:
        return json.dumps(self.lines.told) + self.metrics.exposition()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    loop = asyncio.get_running_loop()
    ticker = Ticker(0.05, loop.time)
    pool = Pool(NetworkDialer(IdentityHolder(), connect={}), Limits(), ticker, loop.time)
    policy = compile_policy(load_texts([]), labels={}, namespace=None)
    made = Desk()
    made.outside = externals(pool, lambda: policy, made.metrics, made.log, lambda: made.time)
    ticker.start()
    try:
        yield made
    finally:
        pool.close()
        ticker.stop()
