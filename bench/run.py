"""A run: at each station all proxies stand ready, and the measurements go round them in turns.

What a proxy cannot do is said and left out; the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import measure, payloads, probe
from bench.budgets import OURS
from bench.cache import Missing
from bench.cores import Cores
from bench.figures import Results
from bench.load import Endpoint, LoadFailed, Tunnel
from bench.measure import Figures, Subject
from bench.plan import Plan
from bench.process import Process, ProcessFailed, free_port
from bench.proxies.base import AUTHORITY, Proxy, Site
from bench.proxies.direct import Direct
from bench.stations import Job, Station
from bench.trust import Trust
from bench.upstream import Upstream

READY_SECONDS = 20.0
FAILURES = (ProcessFailed, LoadFailed, probe.ProbeFailed, Missing)


@dataclass(frozen=True, slots=True)
class Standing:
    """A proxy that runs at a station."""

    proxy: Proxy
    site: Site
    subject: Subject
    start: Figures


@dataclass(slots=True)
class Run:
    """Everything a run needs to know, and what it found."""

    folder: Path
    plan: Plan
    cores: Cores
    trust: Trust
    upstream: Upstream
    proxies: tuple[Proxy, ...]
    variants: tuple[Proxy, ...]
    say: Callable[[str], None]
    leave_out: Callable[[str], None]
    results: Results = field(default_factory=Results)
    _out: set[tuple[str, str]] = field(default_factory=set)  # proxies that did not start at a station

    def station(self, station: Station) -> None:
        """Measure everything at one station."""
        self.say(f"{station.name}: start and memory")
        self._fresh(station)
        with ExitStack() as stack:
            proxies = self._still_in(station, (Direct(), *self.proxies, *self.variants))
            standing = [self._stand_in(stack, station, proxy) for proxy in proxies]
            present = [one for one in standing if one is not None]
            for job in station.jobs:
                if not job.fresh:
                    self.say(f"{station.name}: {job.name}")
                    self._rounds(station, job, present)

    def _fresh(self, station: Station) -> None:
        """Start each proxy several times; measure memory on the last of them, when caches on disk are warm."""
        memory = [job for job in station.jobs if job.fresh]
        if not memory:
            return
        for repetition in range(self.plan.start_repetitions):
            for proxy in self._still_in(station, self.proxies):
                try:
                    with self._stand(station, proxy) as standing:
                        self.results.add(proxy.name, f"{station.name}/start", standing.start)
                        for job in memory if repetition == self.plan.start_repetitions - 1 else ():
                            self._try(station, job, standing)
                except FAILURES as failure:
                    self.leave_out(f"{proxy.name} at {station.name}: {failure}")
                    self._out.add((station.name, proxy.name))

    def _still_in(self, station: Station, proxies: tuple[Proxy, ...]) -> list[Proxy]:
        left = [proxy for proxy in proxies if (station.name, proxy.name) not in self._out]
        return [proxy for proxy in left if proxy.name == OURS] if station.intercepted else left

    def _stand_in(self, stack: ExitStack, station: Station, proxy: Proxy) -> Standing | None:
        wanted = [job for job in station.jobs if not job.fresh]
        if proxy.name == Direct.name:
            wanted = [job for job in wanted if job.without_proxy]
        elif proxy in self.variants:
            wanted = [job for job in wanted if job.variants]
        if not wanted:
            return None
        try:
            standing = stack.enter_context(self._stand(station, proxy))
            if not station.events:
                probe.check(proxy, standing.site, standing.subject.endpoint)
        except FAILURES as failure:
            self.leave_out(f"{proxy.name} at {station.name}: {failure}")
            return None
        return standing

    def _rounds(self, station: Station, job: Job, standing: list[Standing]) -> None:
        for _ in range(job.repetitions(self.plan)):
            for one in standing:
                if one.proxy.name == Direct.name and not job.without_proxy:
                    continue
                if one.proxy in self.variants and not job.variants:
                    continue
                self._try(station, job, one)

    def _try(self, station: Station, job: Job, standing: Standing) -> None:
        try:
            self._measure(station, job, standing)
        except FAILURES as failure:
            self.leave_out(f"{standing.proxy.name} at {station.name}, {job.name}: {failure}")

    def _measure(self, station: Station, job: Job, standing: Standing) -> None:
        target = standing.proxy.target(standing.site, job.path + job.query(self.plan))
        request = standing.site.folder / "request"
        request.write_bytes(payloads.http_request(target, AUTHORITY, job.body))
        figures = job.action(standing.subject, request, self.plan)
        self.results.add(standing.proxy.name, f"{station.name}/{job.name}", figures)

    @contextmanager
    def _stand(self, station: Station, proxy: Proxy) -> Iterator[Standing]:
        """Start a proxy and wait for its first good answer; end it afterwards. Raises one of FAILURES."""
        site = self._site(station, proxy)
        command = proxy.command(site)
        if command is None:
            endpoint = Endpoint(site.upstream, self._client_trust(station, direct=True))
            yield Standing(proxy, site, Subject(None, endpoint, self.cores), {})
            return
        started = time.perf_counter()
        with Process(command, core=self.cores.proxy, log=site.folder / "log") as process:
            endpoint = self._endpoint(station, site)
            path = f"{payloads.EVENTS_PATH}?count=1" if station.events else payloads.CALL_PATH
            request = payloads.http_request(proxy.target(site, path), AUTHORITY, payloads.tools_call(500))
            probe.wait_until_answering(endpoint, request, process.check_alive, READY_SECONDS)
            start = measure.start(process.pid, time.perf_counter() - started)
            yield Standing(proxy, site, Subject(process.pid, endpoint, self.cores), start)

    def _endpoint(self, station: Station, site: Site) -> Endpoint:
        if station.intercepted:
            return Endpoint(site.listen, tunnel=Tunnel(AUTHORITY, site.interception_root))
        return Endpoint(site.listen, self._client_trust(station, direct=False))

    def _site(self, station: Station, proxy: Proxy) -> Site:
        listen = free_port()
        folder = self.folder / f"{station.name}-{proxy.name}-{listen}"
        folder.mkdir()
        upstream = self.upstream.events if station.events else self.upstream.plain
        if station.tls_out:
            upstream = self.upstream.mtls
        return Site(
            folder,
            listen,
            upstream,
            self.trust,
            tls_in=station.tls_in,
            tls_out=station.tls_out,
            intercepted=station.intercepted,
        )

    def _client_trust(self, station: Station, *, direct: bool) -> Trust | None:
        """What the client uses for TLS: as the proxy wants it; without one, as the upstream does."""
        return self.trust if (station.tls_out if direct else station.tls_in) else None
