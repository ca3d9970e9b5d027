"""The report of a run as Markdown: verdicts first, then a table for each kind of figure, then what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from bench import handshakes
from bench.budgets import OURS, verdicts
from bench.figures import OTHERS_SHARE, Results, Verdict, ratio
from bench.proxies.base import Proxy

NOISY_SHARE = 0.2  # above this, on average, a run is not to be trusted

Column = tuple[str, str, str, int]  # heading, load, figure, decimals

CPU: tuple[Column, ...] = (
    ("tools/call 500 B", "plain/call busy", "cpu_us", 1),
    ("tools/call 10 KB", "plain/call-10k busy", "cpu_us", 1),
    ("tools/list of 20", "plain/list busy", "cpu_us", 1),
    ("mTLS out", "mtls-out/call busy", "cpu_us", 1),
    ("mTLS in", "mtls-in/call busy", "cpu_us", 1),
    ("HTTPS intercepted, mTLS out", "intercepted/call busy", "cpu_us", 1),
    ("one connection", "plain/call one", "cpu_us", 1),
    ("500 B from wrk", "plain/call wrk", "cpu_us", 1),
)
THROUGHPUT: tuple[Column, ...] = tuple((title, load, "per_second", 0) for title, load, _, _ in CPU[:6])
LATENCY: tuple[Column, ...] = (
    ("plain p50", "plain/call one", "p50_us", 0),
    ("p99", "plain/call one", "p99_us", 0),
    ("mTLS out p50", "mtls-out/call one", "p50_us", 0),
    ("p99", "mtls-out/call one", "p99_us", 0),
    ("mTLS in p50", "mtls-in/call one", "p50_us", 0),
    ("p99", "mtls-in/call one", "p99_us", 0),
    ("fixed rate p50", "plain/call rate", "p50_us", 0),
    ("p99", "plain/call rate", "p99_us", 0),
)
STREAMS: tuple[Column, ...] = (
    ("back to back, CPU us/event", "events/stream", "cpu_us", 1),
    ("events a second", "events/stream", "per_second", 0),
    ("every 100 ms, CPU us/event", "events/paced", "cpu_us", 1),
    ("latency p50 us", "events/paced", "p50_us", 0),
    ("p99 us", "events/paced", "p99_us", 0),
)
MEMORY: tuple[Column, ...] = (
    ("plain, ready", "plain/memory", "ready_mb", 1),
    ("100 idle", "plain/memory", "idle_100_mb", 1),
    ("1,000 idle", "plain/memory", "idle_1000_mb", 1),
    ("1,000 used", "plain/memory", "used_1000_mb", 1),
    ("mTLS in, ready", "mtls-in/memory", "ready_mb", 1),
    ("100 idle", "mtls-in/memory", "idle_100_mb", 1),
    ("100 used", "mtls-in/memory", "used_100_mb", 1),
    ("1,000 idle", "mtls-in/memory", "idle_1000_mb", 1),
    ("1,000 used", "mtls-in/memory", "used_1000_mb", 1),
    ("1,000 open streams", "events/open streams", "streams_mb", 1),
)
START: tuple[Column, ...] = (
    ("plain", "plain/start", "ready_ms", 0),
    ("CPU", "plain/start", "cpu_ms", 0),
    ("mTLS in", "mtls-in/start", "ready_ms", 0),
    ("CPU", "mtls-in/start", "cpu_ms", 0),
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a reader needs to know about a run to judge its figures."""

    lines: tuple[str, ...]
    left_out: tuple[str, ...]


def render(results: Results, proxies: Sequence[Proxy], circumstances: Circumstances) -> str:
    """The whole report."""
    parts = [
        "# Outrider beside other proxies",
        *circumstances.lines,
        *warning(results),
        "## Targets",
        _targets(verdicts(results)),
    ]
    for title, columns in (
        ("CPU of the proxy, us per request, 32 connections at saturation", CPU),
        ("Requests a second at saturation, proxy on one core", THROUGHPUT),
        ("Latency, us", LATENCY),
        ("Server-sent events of 200 bytes", STREAMS),
        ("Resident memory, MB", MEMORY),
        ("Start to first answer, ms", START),
    ):
        parts += [f"## {title}", figures_table(results, proxies, columns)]
        if columns is CPU:
            parts += ["CPU of Outrider divided by that of:", ratio_table(results, proxies, columns)]
            parts += ["## Mutual TLS 1.3 handshakes, full ones", handshake_table(results, proxies)]
    parts += ["## Disturbance", disturbance(results)]
    if circumstances.left_out:
        parts += ["## Left out", left_out(circumstances.left_out)]
    return "\n\n".join(parts) + "\n"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures and stand to the right."""
    rule = ["---", *("---:" for _ in heading[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heading, rule, *rows))


def number(value: float | None, decimals: int) -> str:
    """A figure as text, with thousands separated; a dash when there is none."""
    return "–" if value is None else f"{value:,.{decimals}f}"


def figures_table(results: Results, proxies: Sequence[Proxy], columns: Sequence[Column]) -> str:
    """A row for each proxy that has any of the figures."""
    rows = []
    for proxy in proxies:
        values = [results.get(proxy.name, load, figure) for _, load, figure, _ in columns]
        if any(value is not None for value in values):
            texts = [number(value, column[3]) for value, column in zip(values, columns, strict=True)]
            rows.append([_name(proxy), *texts])
    return table(["", *(column[0] for column in columns)], rows)


def ratio_table(results: Results, proxies: Sequence[Proxy], columns: Sequence[Column]) -> str:
    """A row for each other proxy: our figure divided by its."""
    rows = []
    for proxy in proxies:
        ratios = [
            ratio(results.get(OURS, load, figure), results.get(proxy.name, load, figure))
            for _, load, figure, _ in columns
        ]
        if proxy.name != OURS and any(value is not None for value in ratios):
            rows.append([proxy.title, *(number(value, 2) for value in ratios)])
    return table(["", *(column[0] for column in columns)], rows)


def handshake_table(results: Results, proxies: Sequence[Proxy]) -> str:
    """A row for each proxy: as the server of a handshake, as its client, and as one that ends HTTPS."""
    rows = [
        [
            f"**{title}**" if name.startswith(OURS) else title,
            *(
                number(value, decimals)
                for value, decimals in zip(figures, (0, 2, 0, 0, 2, 0, 0), strict=True)
            ),
        ]
        for name, title, figures in handshakes.measured(results, proxies)
    ]
    return table(
        [
            "",
            "accepted, CPU us",
            "Outrider / it",
            "connections with a call a second",
            "dialled, CPU us",
            "Outrider / it",
            "connections with a call a second",
            "intercepted, CPU us",
        ],
        rows,
    )


def disturbance(results: Results) -> str:
    """How much the machine was shared while CPU was measured, and how far repetitions lie apart."""
    shares = _shares(results)
    spreads = [
        spread
        for cell in results.values
        if cell.figure == "cpu_us"
        and (spread := results.spread(cell.proxy, cell.load, cell.figure)) is not None
    ]
    if not shares or not spreads:
        return "Nothing was measured."
    return (
        "While CPU was measured at saturation, others (neighbours, kernel threads, the hypervisor) took "
        f"{100 * max(shares):.0f} % of the proxy's core at most, {100 * fmean(shares):.0f} % on average. "
        f"Repetitions of one CPU figure lie {100 * max(spreads):.0f} % apart at most, "
        f"{100 * fmean(spreads):.0f} % on average."
    )


def warning(results: Results) -> list[str]:
    """A loud line when the machine was too busy for the verdicts to be trusted, else nothing."""
    shares = _shares(results)
    if not shares or fmean(shares) <= NOISY_SHARE:
        return []
    return [
        f"**Noisy: others took {100 * fmean(shares):.0f} % of the proxy's core. Repeat on a quiet machine.**"
    ]


def _shares(results: Results) -> list[float]:
    return [
        value for cell, values in results.values.items() if cell.figure == OTHERS_SHARE for value in values
    ]


def left_out(sentences: Sequence[str]) -> str:
    """One line for each; of a process's log only its last line, the rest was shown during the run."""
    lines = [sentence.strip().splitlines() for sentence in sentences]
    shown = [parts[0] if len(parts) == 1 else f"{parts[0]} {parts[-1]}" for parts in lines]
    return "\n".join(f"- **{sentence}**" for sentence in dict.fromkeys(shown))


def _targets(found: Sequence[Verdict]) -> str:
    rows = []
    for verdict in found:
        decimals = 2 if verdict.unit == "x" else 0 if verdict.unit == "ms" else 1
        result = verdict.sentence if verdict.met else f"**{verdict.sentence}**"
        target = f"{verdict.target:g} {verdict.unit}"
        rows.append([verdict.title, number(verdict.measured, decimals), target, result])
    return table(["", "measured", "at most", ""], rows)


def _name(proxy: Proxy) -> str:
    return f"**{proxy.title}**" if proxy.name.startswith(OURS) else proxy.title
