"""`python -m bench.admission`: what a review costs, beside the same server with an empty handler, in one run.

Both are one process on one core, over TLS 1.3 on connections that stay open; the load is on another core. Reviews
are pods of agents as Deployments make them, injected in full. CPU counts, not wall time, where a ratio is given.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from bench.admission_load import Caller, at_rate, back_to_back, request_of
from bench.cores import available, choose
from bench.machine import describe
from bench.process import Command, Process, free_port
from bench.procfs import cpu_time, resident
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files

SETTINGS = 'namespaces: {agents: {labels: {"outrider.dev/injection": required}}}\n'
CONNECTIONS = 16
VARIANTS = 64


def pods() -> list[bytes]:
    """Reviews of different pods, about 3 KB each."""
    return [json.dumps(_review(number), separators=(",", ":")).encode() for number in range(VARIANTS)]


def _review(number: int) -> dict[str, Any]:
    env = [{"name": f"SETTING_{place}", "value": f"value {place}"} for place in range(12)]
    mounts = [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]
    probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 1}
    containers = [
        {
            "name": name,
            "image": f"registry.example/{name}:{number}",
            "env": env,
            "ports": [{"containerPort": 8080 + place, "protocol": "TCP"}],
            "readinessProbe": probe,
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "volumeMounts": mounts,
        }
        for place, name in enumerate(("agent", "helper"))
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"triage-{number}-",
            "namespace": "agents",
            "labels": {"app": "triage", "pod-template-hash": f"{number:08x}"},
            "annotations": {"outrider.dev/memory": "128Mi"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "triage", "uid": "u"}
            ],
        },
        "spec": {
            "serviceAccountName": "triage",
            "containers": containers,
            "volumes": [{"name": "kube-api-access", "projected": {"sources": []}}],
        },
    }
    request = {
        "uid": f"00000000-0000-0000-0000-{number:012d}",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": "agents",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


@dataclass
class Station:
    """One server under load, and what was measured of it. Microseconds of CPU for each review; bytes."""

    name: str
    process: Process
    port: int
    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


@contextmanager
def _stations(core: int) -> Iterator[tuple[list[Station], Path]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_serving_files(folder, ["127.0.0.1"], datetime.now(UTC), timedelta(days=1))
        (folder / "settings.yaml").write_text(SETTINGS)
        cert, key = str(folder / CERT_FILE), str(folder / KEY_FILE)
        ports = {name: free_port() for name in ("empty", "admission")}
        ours = [
            "--host",
            "127.0.0.1",
            "--port",
            str(ports["admission"]),
            "--telemetry-port",
            str(free_port()),
        ]
        ours += ["--cert", cert, "--key", key, "--settings", str(folder / "settings.yaml"), "--drain", "0"]
        commands = {
            "empty": ["-m", "bench.admission_empty", str(ports["empty"]), cert, key],
            "admission": ["-m", "webhook", *ours],
        }
        made = []
        for name, arguments in commands.items():
            command = Command([sys.executable, *arguments])
            process = stack.enter_context(Process(command, core=core, log=folder / f"{name}.log"))
            process.wait_for_port(ports[name])
            made.append(Station(name, process, ports[name]))
        yield made, folder / ROOT_FILE


async def _measure(stations: Sequence[Station], roots: Path, given: argparse.Namespace) -> None:
    requests = [request_of(body) for body in pods()]
    for number in range(given.rounds + 1):  # the first one warms up, and does not count
        for station in stations:
            callers = [await Caller.dial(station.port, roots) for _ in range(CONNECTIONS)]
            before = cpu_time(station.process.pid)
            took = await back_to_back(callers, requests, given.count)
            spent = cpu_time(station.process.pid) - before
            if number:
                station.cpu.append(spent.total_ns / given.count / 1000)
                station.rate.append(given.count / took)
                station.latencies += await at_rate(callers, requests, given.rate, given.count // 4)
            station.memory.append(resident(station.process.pid))
            for caller in callers:
                caller.hang_up()
    if given.soak:
        ours = stations[-1]
        callers = [await Caller.dial(ours.port, roots) for _ in range(CONNECTIONS)]
        await back_to_back(callers, requests, given.soak)
        ours.memory.append(resident(ours.process.pid))


def _report(stations: Sequence[Station], given: argparse.Namespace) -> Iterator[str]:
    for station in stations:
        ordered = sorted(station.latencies)
        p50, p99 = (ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.99))
        cpu = statistics.median(station.cpu)
        first, last = (size / 1e6 for size in (station.memory[0], station.memory[-1]))
        yield (
            f"{station.name:10} {cpu:6.0f} us of CPU a review, {1e6 / cpu:5.0f} a second on a whole core "
            f"({statistics.median(station.rate):.0f} seen); at {given.rate:g} a second p50 {p50:.1f} ms, "
            f"p99 {p99:.1f} ms; memory {first:.0f} MB, in the end {last:.0f} MB"
        )
    empty, ours = (statistics.median(station.cpu) for station in stations)
    yield f"ratio of CPU: {ours / empty:.2f}"


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.admission", description="What a review costs.")
    parser.add_argument("--count", type=int, default=4000, help="reviews in a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument(
        "--rate", type=float, default=100.0, help="a second, for latencies (default: %(default)s)"
    )
    parser.add_argument("--soak", type=int, default=0, help="more reviews, for memory (100000)")
    given = parser.parse_args()
    cores = choose(available())
    for line in describe(cores, ()):
        print(line)
    with _stations(cores.proxy) as (stations, roots):
        uvloop.run(_measure(stations, roots, given))
        for line in _report(stations, given):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
