"""The load generator from Python: a process that takes one command at a time and answers with its figures."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench import cache
from bench.process import STOP_SECONDS
from bench.trust import Trust

CONNECT_SECONDS = 20.0


class LoadFailed(Exception):
    """Answers were missing, no 200 or of another length than the first: the figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Through a proxy to `authority` (host:port), and TLS inside that `root` (PEM) vouches for."""

    authority: str
    root: Path

    @property
    def host(self) -> str:
        """The name that the server's certificate must hold."""
        return self.authority.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the load goes: a loopback port; with `trust`, by mutual TLS as the trust domain's peer."""

    port: int
    trust: Trust | None = None
    tunnel: Tunnel | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one command saw: counts, its duration, latencies in microseconds (of events for a stream)."""

    open: int
    requests: int
    errors: int
    events: int
    seconds: float
    p50_us: float
    p99_us: float
    max_us: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0


class LoadGenerator:
    """A running generator with a number of connections to one endpoint, all sending the same request."""

    def __init__(self, endpoint: Endpoint, connections: int, request: Path, *, core: int) -> None:
        argv = ["taskset", "-c", str(core), cache.load_generator(), str(endpoint.port), str(connections)]
        if endpoint.trust is not None:
            files = (endpoint.trust.authority, endpoint.trust.peer.certificate, endpoint.trust.peer.key)
            argv += [str(file) for file in files]
        if endpoint.tunnel is not None:
            argv += [str(endpoint.tunnel.root), endpoint.tunnel.authority]
        self._popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.command(f"request {request}")

    def open(self, connections: int) -> None:
        """Open connections until there are that many; raises LoadFailed."""
        outcome = self.command(f"open {connections} {CONNECT_SECONDS}")
        if outcome.open != connections:
            raise LoadFailed(f"only {outcome.open} of {connections} connections came up")

    def run(self, count: int, seconds: float) -> Outcome:
        """Keep every connection busy until `count` answers are in or the time is up."""
        return self.command(f"run {count} {seconds}")

    def churn(self, count: int, seconds: float) -> Outcome:
        """Make `count` requests, each on a connection of its own, until the time is up."""
        return self.command(f"churn {count} {seconds}")

    def each(self, seconds: float) -> Outcome:
        """Let every connection make one request."""
        return self.command(f"each {seconds}")

    def rate(self, per_second: int, seconds: int) -> Outcome:
        """Send at fixed times; latency counts from when a request was due."""
        return self.command(f"rate {per_second} {seconds}")

    def stream(self, seconds: float) -> Outcome:
        """Let every connection read one stream of events to its end."""
        return self.command(f"stream {seconds}")

    def start(self, command: str) -> None:
        """Give a command without waiting for its answer."""
        if self._popen.stdin is None:
            raise LoadFailed("the load generator has no input")
        self._popen.stdin.write(command + "\n")
        self._popen.stdin.flush()

    def answer(self) -> Outcome:
        """Wait for the answer to the last command; raises LoadFailed."""
        line = self._popen.stdout.readline() if self._popen.stdout is not None else ""
        if not line:
            raise LoadFailed(f"the load generator ended with {self._popen.wait(STOP_SECONDS)}")
        outcome = Outcome(**json.loads(line))
        if outcome.errors:
            raise LoadFailed(f"{outcome.errors} errors beside {outcome.requests} answers")
        return outcome

    def command(self, command: str) -> Outcome:
        """Give a command and wait for its answer."""
        self.start(command)
        return self.answer()

    def __enter__(self) -> LoadGenerator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(STOP_SECONDS)
