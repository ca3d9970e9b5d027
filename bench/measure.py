"""One measurement each: a running proxy is put under one kind of load, and its figures are returned.

CPU is always what the proxy's processes used between two points of time, divided by the answers (or events)
of that time; connections are opened and warmed before the first point.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench import procfs, wrk
from bench.cores import Cores
from bench.figures import OTHERS_SHARE
from bench.load import Endpoint, LoadGenerator
from bench.plan import Plan

MEGABYTE = 1024 * 1024
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: the process id of a running proxy (None without one), and how to reach it."""

    pid: int | None
    endpoint: Endpoint
    cores: Cores

    def load(self, connections: int, request: Path) -> LoadGenerator:
        """A load generator for it, with the first connections open."""
        generator = LoadGenerator(self.endpoint, connections, request, core=self.cores.load)
        generator.open(connections)
        return generator


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of the proxy over a piece of time, and what others took of its core (shares of that time)."""

    cpu_ns: int
    user_share: float
    others_share: float


T = TypeVar("T")


def costing(subject: Subject, action: Callable[[], T]) -> tuple[T, Cost]:
    """Run an action and tell what the proxy spent on it."""
    if subject.pid is None:
        return action(), Cost(0, 0.0, 0.0)
    started, busy = time.monotonic_ns(), procfs.core_busy_ns(subject.cores.proxy)
    before = procfs.cpu_time(subject.pid)
    outcome = action()
    spent = procfs.cpu_time(subject.pid) - before
    elapsed = time.monotonic_ns() - started
    others = procfs.core_busy_ns(subject.cores.proxy) - busy - spent.total_ns
    total = max(1, spent.total_ns)
    return outcome, Cost(spent.total_ns, spent.user_ns / total, max(0, others) / elapsed)


def start(pid: int, seconds: float) -> Figures:
    """From `exec` to the first good answer: time, and CPU, which moves less with the load of the machine."""
    return {"ready_ms": 1000 * seconds, "cpu_ms": procfs.cpu_time(pid).total_ns / 1_000_000}


def busy(subject: Subject, request: Path, plan: Plan) -> Figures:
    """Saturation: every connection always has a request in flight."""
    with subject.load(plan.busy_connections, request) as load:
        load.run(plan.warm_requests, plan.warm_seconds)
        outcome, cost = costing(subject, lambda: load.run(plan.busy_requests, plan.busy_seconds))
    return {
        "cpu_us": cost.cpu_ns / outcome.requests / 1000,
        "user_share": cost.user_share,
        OTHERS_SHARE: cost.others_share,
        "per_second": outcome.per_second,
    }


def anew(subject: Subject, request: Path, plan: Plan) -> Figures:
    """A new connection for each request: its handshake and that request."""
    connections, core = plan.handshake_connections, subject.cores.load
    with LoadGenerator(subject.endpoint, connections, request, core=core) as load:
        load.churn(plan.handshake_warm, plan.warm_seconds)
        outcome, cost = costing(subject, lambda: load.churn(plan.handshakes, plan.handshake_seconds))
    return {
        "cpu_us": cost.cpu_ns / outcome.requests / 1000,
        OTHERS_SHARE: cost.others_share,
        "per_second": outcome.per_second,
    }


def busy_by_wrk(subject: Subject, request: Path, plan: Plan) -> Figures:
    """Saturation as `busy`, from wrk."""
    port, core = subject.endpoint.port, subject.cores.load

    def load() -> wrk.WrkOutcome:
        return wrk.run(port, plan.busy_connections, plan.busy_seconds, request, core=core)

    outcome, cost = costing(subject, load)
    return {"cpu_us": cost.cpu_ns / outcome.requests / 1000, OTHERS_SHARE: cost.others_share}


def one(subject: Subject, request: Path, plan: Plan) -> Figures:
    """One connection, one request after the other."""
    with subject.load(1, request) as load:
        load.run(plan.warm_requests // 5, plan.warm_seconds)
        outcome, cost = costing(subject, lambda: load.run(plan.one_requests, plan.one_seconds))
    cpu = cost.cpu_ns / outcome.requests / 1000
    return {"p50_us": outcome.p50_us, "p99_us": outcome.p99_us, "cpu_us": cpu}


def rate(subject: Subject, request: Path, plan: Plan) -> Figures:
    """A fixed rate that all proxies can serve; latency from when a request was due."""
    with subject.load(plan.busy_connections, request) as load:
        load.run(plan.warm_requests, plan.warm_seconds)
        outcome, cost = costing(subject, lambda: load.rate(plan.rate_per_second, plan.rate_seconds))
    cpu = cost.cpu_ns / outcome.requests / 1000
    return {"p50_us": outcome.p50_us, "p99_us": outcome.p99_us, "cpu_us": cpu}


def stream(subject: Subject, request: Path, plan: Plan) -> Figures:
    """Events as fast as they go, on a few streams."""
    with subject.load(plan.streams, request) as load:
        outcome, cost = costing(subject, lambda: load.stream(plan.stream_seconds))
    return {
        "cpu_us": cost.cpu_ns / max(1, outcome.events) / 1000,
        "per_second": outcome.events / outcome.seconds,
    }


def paced(subject: Subject, request: Path, plan: Plan) -> Figures:
    """Streams with time between their events; latency from the source's write to the client's read."""
    seconds = plan.paced_events * plan.paced_gap_us / 1_000_000 + 2
    with subject.load(plan.paced_streams, request) as load:
        outcome, cost = costing(subject, lambda: load.stream(seconds))
    cpu = cost.cpu_ns / max(1, outcome.events) / 1000
    return {"p50_us": outcome.p50_us, "p99_us": outcome.p99_us, "cpu_us": cpu}


def memory(subject: Subject, request: Path, plan: Plan) -> Figures:
    """Resident memory with more and more connections: idle ones, then each after it made a request."""
    if subject.pid is None:
        return {}
    figures = {"ready_mb": procfs.resident(subject.pid) / MEGABYTE}
    with LoadGenerator(subject.endpoint, max(plan.connections), request, core=subject.cores.load) as load:
        for count in plan.connections:
            load.open(count)
            time.sleep(0.2)
            figures[f"idle_{count}_mb"] = procfs.resident(subject.pid) / MEGABYTE
            load.each(15)
            time.sleep(0.2)
            figures[f"used_{count}_mb"] = procfs.resident(subject.pid) / MEGABYTE
    return figures


def open_streams(subject: Subject, request: Path, plan: Plan) -> Figures:
    """Resident memory while many streams of events are open, and how much that is more than before."""
    if subject.pid is None:
        return {}
    before = procfs.resident(subject.pid)
    with subject.load(plan.open_streams, request) as load:
        load.start("stream 15")
        time.sleep(2.0)
        during = procfs.resident(subject.pid)
        load.answer()
    return {"streams_mb": during / MEGABYTE, "streams_more_mb": (during - before) / MEGABYTE}
