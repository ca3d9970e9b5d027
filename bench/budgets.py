"""The budgets of the data path: what the sidecar may cost, mostly as ratios to other proxies in one run."""

from __future__ import annotations

from bench.figures import Results, Verdict, difference, ratio

OURS = "outrider"
ENVOY = "envoy-mcp"
NGINX = "nginx"


def verdicts(results: Results) -> list[Verdict]:
    """Every budget with what was measured for it."""
    return [
        *_cpu(results),
        *_latency(results),
        Verdict("SSE event, back to back: CPU", results.get(OURS, "events/stream", "cpu_us"), 15, "us"),
        *_memory(results),
        Verdict("start to first answer, plain", results.get(OURS, "plain/start", "ready_ms"), 400, "ms"),
        Verdict("start to first answer, mTLS in", results.get(OURS, "mtls-in/start", "ready_ms"), 400, "ms"),
    ]


def _cpu(results: Results) -> list[Verdict]:
    limits = (
        ("tools/call, 500 B of arguments", "plain/call busy", 0.7, 2.0),
        ("tools/call, 10 KB of arguments", "plain/call-10k busy", 0.4, 2.0),
        ("tools/call, mTLS upstream", "mtls-out/call busy", 0.65, 1.7),
        ("tools/call, mTLS inbound", "mtls-in/call busy", 0.65, 1.7),
    )
    found = []
    for title, load, envoy, nginx in limits:
        for other, name, limit in ((ENVOY, "Envoy with mcp + rbac", envoy), (NGINX, "nginx", nginx)):
            measured = ratio(results.get(OURS, load, "cpu_us"), results.get(other, load, "cpu_us"))
            found.append(Verdict(f"CPU of {title} / {name}", measured, limit, "x"))
    return found


def _latency(results: Results) -> list[Verdict]:
    direct = results.get("direct", "plain/call one", "p50_us")
    added = difference(results.get(OURS, "plain/call one", "p50_us"), direct)
    lean = difference(results.get(NGINX, "plain/call one", "p50_us"), direct)
    beside = "" if lean is None else f" (nginx adds {lean:.0f})"
    return [Verdict(f"added p50, one connection{beside}", added, 100, "us")]


def _memory(results: Results) -> list[Verdict]:
    ready = results.get(OURS, "mtls-in/memory", "ready_mb")
    used = results.get(OURS, "mtls-in/memory", "used_1000_mb")
    streams = results.get(OURS, "events/open streams", "streams_more_mb")
    return [
        Verdict("RSS ready, plain, policy", results.get(OURS, "plain/memory", "ready_mb"), 45, "MB"),
        Verdict("RSS ready, mTLS, policy, with py-spiffe", ready, 65, "MB"),
        Verdict("RSS more for 1,000 mTLS connections after a request", difference(used, ready), 45, "MB"),
        Verdict("RSS more for 1,000 open streams", streams, 45, "MB"),
    ]
