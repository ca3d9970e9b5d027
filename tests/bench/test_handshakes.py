from __future__ import annotations

from bench import handshakes, report
from bench.figures import Results
from bench.proxies.haproxy import Haproxy
from bench.proxies.nginx import Nginx
from bench.proxies.outrider import Outrider

PROXIES = (Outrider(), Nginx(), Haproxy())


def results() -> Results:
    found = Results()
    for proxy, anew, busy in (("outrider", 900.0, 60.0), ("nginx", 500.0, 20.0)):
        found.add(proxy, "mtls-in/call anew", {"cpu_us": anew, "per_second": 1_000_000 / anew})
        found.add(proxy, "mtls-in/call busy", {"cpu_us": busy})
    found.add("nginx", "mtls-out/call anew", {"cpu_us": 600.0})
    return found


def test_a_handshake_is_what_a_call_on_a_new_connection_costs_more() -> None:
    assert handshakes.cpu_us(results(), "outrider", "mtls-in") == 840.0
    assert handshakes.cpu_us(results(), "nginx", "mtls-in") == 480.0


def test_without_the_call_on_an_open_connection_there_is_no_figure() -> None:
    assert handshakes.cpu_us(results(), "nginx", "mtls-out") is None


def test_the_report_has_both_sides_and_our_ratio_to_each() -> None:
    lines = report.handshake_table(results(), PROXIES).splitlines()
    assert lines[2:] == [
        "| **Outrider** | 840 | 1.00 | 1,111 | – | – | – | – |",
        "| nginx | 480 | 1.75 | 2,000 | – | – | – | – |",
    ]
