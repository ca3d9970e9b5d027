"""What the control plane costs: memory and CPU of 10,000 pods and 1,000 policies, and of one change among them.

`python -m bench.control_plane` prints one JSON object. Everything runs in this process, without sockets: objects
go through the stores as the API server encodes them, every pod is connected, and what a sidecar would be sent is
encoded.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from bench.procfs import PROC
from mesh.policy.load import read_object_alone
from webhook.admission.metrics import AdmissionMetrics
from webhook.distribution.hub import Hub
from webhook.distribution.judging import judge
from webhook.distribution.kinds import AGENT_POLICY
from webhook.distribution.objects import trim_pod
from webhook.distribution.offers import Domains
from webhook.distribution.reports import tally
from webhook.distribution.stores import Stores
from webhook.distribution.world import World

NAMESPACES = 100
ITEM_PADDING = "x" * 4000
"""A real pod is several kilobytes of what is not looked at."""


def pod(number: int, namespace: str, app: str, alone: bool) -> bytes:
    """A pod as the API server encodes it; `alone`: with a label of its own, as StatefulSets give."""
    labels = {
        "app": app,
        "outrider.dev/injected": "true",
        "pod-template-hash": f"{app}-5d4f8",
        "app.kubernetes.io/part-of": "agents",
    }
    if alone:
        labels["statefulset.kubernetes.io/pod-name"] = f"{app}-{number}"
    return msgspec.json.encode(
        {
            "metadata": {
                "name": f"{app}-{number}",
                "namespace": namespace,
                "uid": f"00000000-0000-0000-0000-{number:012}",
                "resourceVersion": str(number),
                "labels": labels,
                "annotations": {"padding": ITEM_PADDING},
            },
            "spec": {"serviceAccountName": app, "containers": [{"name": "agent"}]},
            "status": {"phase": "Running"},
        }
    )


def document(kind: str, namespace: str, name: str, spec: Any, generation: int = 1) -> bytes:
    """A policy object as the API server encodes it."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"{namespace}/{name}",
        "generation": generation,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    value = {"apiVersion": "outrider.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    return msgspec.json.encode(value)


def policy(app: str | None, generation: int = 1) -> dict[str, Any]:
    """An AgentPolicy of an ordinary size."""
    selector = {} if app is None else {"selector": {"matchLabels": {"app": app}}}
    tools = {"allow": [f"list_{number}" for number in range(10 + generation % 3)], "deny": ["*delete*"]}
    return {**selector, "outbound": [{"backend": "github", "tools": tools}]}


def backend(name: str) -> dict[str, Any]:
    """A Backend."""
    host = f"{name}.tools.svc.cluster.local"
    return {"protocol": "MCP", "host": host, "port": 8080, "path": "/mcp", "tls": {"mode": "Public"}}


def memory(field: str) -> float:
    """Megabytes of this process: VmRSS now, VmHWM at most."""
    lines = (PROC / "self" / "status").read_text().splitlines()
    (line,) = (one for one in lines if one.startswith(f"{field}:"))
    return round(int(line.split()[1]) * 1024 / 1e6, 1)


class Plane:
    """A control plane without sockets."""

    def __init__(self) -> None:
        self.world = World(Domains("mesh.example", "cluster.local"), read_object_alone, judge)
        self.stores = {one.subject: one.store for one in Stores(self.world, print).followings()}
        self.hub = Hub(self.world, AdmissionMetrics())

    def fill(self, pods: int, policies: int, alone: bool) -> None:
        """Take in everything, as lists."""
        namespaces = [f"ns-{number}" for number in range(NAMESPACES)]
        big = pods // 2
        # One namespace has half of all pods; the others share the rest, with four apps each.
        rows: Iterator[bytes] = (
            trim_pod(pod(number, *_place(number, big, namespaces), alone)) for number in range(pods)
        )
        self.stores["pods"].replace(tuple(rows))
        per = max(1, policies // NAMESPACES // 2)
        listed = [
            document("AgentPolicy", namespace, f"p-{number}", policy(f"app-{number % 4}"))
            for namespace in namespaces
            for number in range(per)
        ]
        backends = [
            document("Backend", namespace, name, backend(name))
            for namespace in namespaces
            for name in ["github", *(f"b-{number}" for number in range(per - 1))]
        ]
        self.stores["agentpolicies.outrider.dev"].replace(tuple(listed))
        self.stores["backends.outrider.dev"].replace(tuple(backends))
        self.world.settle()

    def connect(self) -> None:
        """Every pod has its sidecar connected, which runs what it was given."""
        for one in list(self.world.cohorts.pods.values()):
            mailbox = self.hub.connect(one, "")
            self.hub.lines.of(_taken(mailbox))
            self.hub.heard(mailbox, applied=mailbox.offered.version if mailbox.offered else "")

    async def change(self, namespace: str, app: str | None, generation: int) -> dict[str, Any]:
        """One policy changes; what that costs until every sidecar's line is there."""
        began = time.process_time()
        item = document("AgentPolicy", namespace, "changing", policy(app, generation), generation)
        self.stores["agentpolicies.outrider.dev"].put(item)
        await self.hub.flush(self.hub.clock())
        sent = 0
        for mailbox in self.hub.mailboxes():
            if mailbox.pending:
                self.hub.lines.of(_taken(mailbox))
                sent += 1
        return {"pods": sent, "cpu_ms": round((time.process_time() - began) * 1000, 2)}


def _place(number: int, big: int, namespaces: list[str]) -> tuple[str, str]:
    if number < big:
        # Of the large namespace, 10 pods are of one app, 1,000 of another.
        app = "ten" if number < 10 else "thousand" if number < 1010 else f"app-{number % 4}"
        return namespaces[0], app
    return namespaces[1 + number % (NAMESPACES - 1)], f"app-{number // NAMESPACES % 4}"


def _taken(mailbox: Any) -> Any:
    return mailbox.take() or mailbox.offered


async def measure(pods: int, policies: int, alone: bool) -> dict[str, Any]:
    """All figures."""
    before = memory("VmRSS")
    plane = Plane()
    began = time.process_time()
    plane.fill(pods, policies, alone)
    filled = time.process_time() - began
    began = time.process_time()
    plane.connect()
    connected = time.process_time() - began
    gc.collect()
    changes = {}
    generation = 1
    for name, app in (("10", "ten"), ("1000", "thousand"), ("half", None)):
        runs = []
        for _ in range(5):
            generation += 1
            runs.append(await plane.change("ns-0", app, generation))
        changes[name] = min(runs, key=lambda run: run["cpu_ms"])
        plane.world.remove(AGENT_POLICY, "ns-0", "changing")
        await plane.hub.flush(0.0)
        for mailbox in plane.hub.mailboxes():
            mailbox.take()
    began = time.process_time()
    tally(plane.hub.mailboxes())
    tallied = time.process_time() - began
    return {
        "pods": len(plane.world.cohorts.pods),
        "documents": len(plane.world.entries),
        "cohorts": len(plane.world.cohorts),
        "rss_mb": memory("VmRSS"),
        "peak_rss_mb": memory("VmHWM"),
        "rss_before_mb": before,
        "start_cpu_s": round(filled, 2),
        "connect_all_cpu_s": round(connected, 2),
        "tally_cpu_ms": round(tallied * 1000, 1),
        "change": changes,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.control_plane", description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--policies", type=int, default=1_000)
    parser.add_argument("--alone", action="store_true", help="no two pods have the same labels")
    options = parser.parse_args(arguments)
    figures = asyncio.run(measure(options.pods, options.policies, options.alone))
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
