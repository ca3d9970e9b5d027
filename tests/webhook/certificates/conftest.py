from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.api_server import FakeApiServer
from webhook.admission.metrics import AdmissionMetrics
from webhook.admission.serving_tls import SwitchedCertificate
from webhook.certificates.issue import Lifetimes
from webhook.cluster.client import ApiClient
from webhook.leadership import Terms
from webhook.plane import Names, Plane, SelfCertificates, self_certificates

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LIFETIMES = Lifetimes(timedelta(days=365), timedelta(days=7), timedelta(seconds=60))
# Quick, so that tests that wait for another replica to take over do not wait long.
TERMS = Terms(lease=1, renew_within=0.6, every=0.02)


@dataclass
class Day:
    """The time of day, which only the test moves."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Replica:
    """One replica of the control plane as far as certificates go."""

    own: SelfCertificates
    metrics: AdmissionMetrics
    lines: list[dict[str, Any]] = field(default_factory=list)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def acts(self) -> list[str]:
        return [line["act"] for line in self.events("certificates")]

    def wake(self) -> None:
        """As its timer would."""
        self.own.observed.refresh()

    @property
    def ready(self) -> bool:
        return not self.own.observed.problems()


@pytest.fixture
def day() -> Day:
    return Day()


@pytest.fixture
def fake() -> FakeApiServer:
    made = FakeApiServer()
    made.install()
    return made


Start = Callable[..., Any]


@asynccontextmanager
async def replica(client: ApiClient, day: Day, name: str = "one") -> AsyncIterator[Replica]:
    """Run a replica; it is cut off at the end, without a farewell."""
    metrics, lines = AdmissionMetrics(), []
    plane = Plane(client, metrics, lines.append, now=day)
    names = Names(
        "outrider-system",
        "outrider-webhook",
        "outrider-webhook-tls",
        "outrider-webhook",
        "outrider-injector",
        "outrider-validator",
        name,
    )
    own = self_certificates(plane, names, SwitchedCertificate(), "cluster.local", LIFETIMES, TERMS)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(one)) for one in own.tasks]
        try:
            yield Replica(own, metrics, lines)
        finally:
            for task in tasks:
                task.cancel()


async def _run(task: Callable[[], Any]) -> None:
    await task()


@pytest.fixture
def start() -> Start:
    return replica
