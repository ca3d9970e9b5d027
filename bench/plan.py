"""How much is measured: the counts and times of a full run and of a quick one, every one of them a bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Bounds of a run. Repetitions go round the proxies in turns."""

    name: str
    repetitions: int
    busy_connections: int = 32
    busy_requests: int = 40_000
    busy_seconds: float = 1.0
    warm_requests: int = 1_500
    warm_seconds: float = 1.0
    handshake_connections: int = 16
    handshakes: int = 3_000
    handshake_seconds: float = 2.0
    handshake_warm: int = 200
    latency_repetitions: int = 3
    one_requests: int = 10_000
    one_seconds: float = 1.0
    rate_per_second: int = 1_500
    rate_seconds: int = 2
    streams: int = 4
    stream_events: int = 10_000
    stream_seconds: float = 8.0
    paced_streams: int = 50
    paced_gap_us: int = 100_000
    paced_events: int = 25
    start_repetitions: int = 5
    connections: tuple[int, ...] = (100, 1_000)
    open_streams: int = 1_000


FULL = Plan("full", repetitions=5)
QUICK = Plan(
    "quick",
    repetitions=2,
    busy_requests=8_000,
    busy_seconds=0.4,
    warm_requests=500,
    handshakes=600,
    handshake_seconds=0.6,
    handshake_warm=50,
    latency_repetitions=1,
    one_seconds=0.4,
    rate_seconds=1,
    stream_events=3_000,
    paced_events=10,
    start_repetitions=2,
)
