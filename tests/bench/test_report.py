from __future__ import annotations

import pytest

from bench import report
from bench.figures import Results
from bench.proxies.envoy import Envoy
from bench.proxies.nginx import Nginx
from bench.proxies.outrider import Outrider

PROXIES = (Outrider(), Nginx(), Envoy(filters=True))
COLUMNS = (("tools/call", "plain/call busy", "cpu_us", 1), ("mTLS in", "mtls-in/call busy", "cpu_us", 1))


def results() -> Results:
    found = Results()
    for proxy, value in (("outrider", 24.0), ("nginx", 16.0), ("envoy-mcp", 48.0)):
        found.add(proxy, "plain/call busy", {"cpu_us": value, "others_share": 0.05})
    return found


def test_a_table_has_its_figures_to_the_right() -> None:
    assert report.table(["", "us"], [["nginx", "16.0"]]) == "|  | us |\n| --- | ---: |\n| nginx | 16.0 |"


@pytest.mark.parametrize(
    ("value", "decimals", "text"), [(None, 1, "–"), (16.04, 1, "16.0"), (41443.2, 0, "41,443")]
)
def test_a_figure_that_is_missing_is_a_dash(value: float | None, decimals: int, text: str) -> None:
    assert report.number(value, decimals) == text


def test_a_proxy_without_figures_has_no_row() -> None:
    found = Results()
    found.add("nginx", "plain/call busy", {"cpu_us": 16.0})
    lines = report.figures_table(found, PROXIES, COLUMNS).splitlines()
    assert lines[2:] == ["| nginx | 16.0 | – |"]


def test_ratios_are_ours_divided_by_theirs() -> None:
    lines = report.ratio_table(results(), PROXIES, COLUMNS).splitlines()
    assert lines[2:] == ["| nginx | 1.50 | – |", "| Envoy, mcp + rbac | 0.50 | – |"]


def test_the_report_gives_the_verdicts_and_what_was_left_out() -> None:
    text = report.render(results(), PROXIES, report.Circumstances(("A machine.",), ("haproxy: not there",)))
    assert "| CPU of tools/call, 500 B of arguments / nginx | 1.50 | 2 x | met |" in text
    assert "| CPU of tools/call, mTLS inbound / nginx | – | 1.7 x | **not measured** |" in text
    assert "- **haproxy: not there**" in text
    assert "5 % of the proxy's core at most" in text


def test_a_run_that_measured_nothing_says_so() -> None:
    assert "Nothing was measured." in report.render(Results(), PROXIES, report.Circumstances((), ()))


def test_of_a_log_only_the_last_line_is_repeated_and_only_once() -> None:
    sentence = "outrider at plain: python -m sidecar ended with 2:\nsome lines\nlisten: not an address\n"
    shown = "- **outrider at plain: python -m sidecar ended with 2: listen: not an address**"
    assert report.left_out([sentence, sentence, "haproxy: not there"]) == f"{shown}\n- **haproxy: not there**"


@pytest.mark.parametrize(("share", "warned"), [(0.05, False), (0.2, False), (0.56, True)])
def test_a_noisy_machine_is_warned_of(share: float, warned: bool) -> None:
    found = Results()
    found.add("nginx", "plain/call busy", {"cpu_us": 16.0, "others_share": share})
    assert ("**Noisy" in report.render(found, PROXIES, report.Circumstances((), ()))) is warned
