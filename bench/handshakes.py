"""What a mutual TLS handshake costs: a call on a new connection, less a call on one that is open.

A handshake cannot be measured by itself. In TLS 1.3 a client has finished before the server has looked at its
certificate, so only an answer tells that the server is through; and a proxy dials because it has something to
send. Opening and closing the TCP connection is part of it. Nobody resumes: there are no tickets and no session
caches, neither at the proxies nor around them.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.budgets import OURS
from bench.figures import Results, difference, ratio
from bench.proxies.base import Proxy

Row = tuple[str, str, list[float | None]]  # name, title, figures

ACCEPTED, DIALLED, INTERCEPTED = "mtls-in", "mtls-out", "intercepted"


def cpu_us(results: Results, proxy: str, station: str) -> float | None:
    """CPU of the proxy for one handshake: as the server at `mtls-in`, as the client at `mtls-out`.

    At `intercepted` it ends the TLS of a client that has no certificate, and answers its CONNECT first.
    """
    anew = results.get(proxy, f"{station}/call anew", "cpu_us")
    return difference(anew, results.get(proxy, f"{station}/call busy", "cpu_us"))


def measured(results: Results, proxies: Sequence[Proxy]) -> list[Row]:
    """For each proxy: CPU per handshake accepted, ours by its, new connections a second; the same three for
    dialled; CPU per handshake of an intercepted connection.
    """
    rows = []
    for proxy in proxies:
        figures: list[float | None] = []
        for station in (ACCEPTED, DIALLED):
            own = cpu_us(results, proxy.name, station)
            figures += [
                own,
                ratio(cpu_us(results, OURS, station), own),
                results.get(proxy.name, f"{station}/call anew", "per_second"),
            ]
        figures.append(cpu_us(results, proxy.name, INTERCEPTED))
        if any(figure is not None for figure in figures):
            rows.append((proxy.name, proxy.title, figures))
    return rows
