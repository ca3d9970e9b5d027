"""Counters, gauges, histograms, and the text that Prometheus reads."""

from __future__ import annotations

import re

from sidecar.telemetry import names
from sidecar.telemetry.metrics import Histogram, Metrics

SAMPLE = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>-?[0-9.e+-]+)")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """An independent reading of the exposition format."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            labels = tuple(LABEL.findall(match["labels"] or ""))
            found[match["name"], labels] = float(match["value"])
    return found


def test_a_counter_counts_by_its_labels() -> None:
    metrics = Metrics()
    metrics.count(names.HANDSHAKES, ("inbound", "allowed"))
    metrics.count(names.HANDSHAKES, ("inbound", "allowed"), 2)
    metrics.count(names.HANDSHAKES, ("outbound", "no_svid"))
    assert metrics.value(names.HANDSHAKES, ("inbound", "allowed")) == 3
    found = samples(metrics.exposition())
    assert found["outrider_tls_handshakes_total", (("side", "inbound"), ("reason", "allowed"))] == 3
    assert found["outrider_tls_handshakes_total", (("side", "outbound"), ("reason", "no_svid"))] == 1


def test_a_counter_without_labels_is_there_before_it_counts() -> None:
    assert samples(Metrics().exposition())["outrider_log_lines_dropped_total", ()] == 0


def test_a_gauge_is_read_when_asked() -> None:
    metrics = Metrics()
    values = {("forward",): 1.0}
    metrics.gauge(names.CONNECTIONS, lambda: values)
    values["forward",] = 7.0
    assert samples(metrics.exposition())["outrider_connections", (("listener", "forward"),)] == 7


def test_a_histogram_counts_cumulatively() -> None:
    metrics = Metrics()
    histogram = metrics.histogram(names.REQUEST_SECONDS, ("outbound",))
    for seconds in (0.0001, 0.002, 0.002, 1000.0):
        histogram.observe(seconds)
    found = samples(metrics.exposition())
    series = [
        (dict(labels)["le"], value)
        for (name, labels), value in found.items()
        if name == "outrider_request_duration_seconds_bucket"
    ]
    assert series[0] == ("0.0005", 1)
    assert dict(series)["0.0025"] == 3
    assert series[-1] == ("+Inf", 4)
    counts = [value for _, value in series]
    assert counts == sorted(counts)
    labels = (("direction", "outbound"),)
    assert found["outrider_request_duration_seconds_count", labels] == 4
    assert found["outrider_request_duration_seconds_sum", labels] == 1000.0041


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(1.0)
    assert histogram.counts == [1, 0, 0]


def test_labels_are_escaped() -> None:
    metrics = Metrics()
    metrics.count(names.UPSTREAM_FAILURES, ('a"b\\c\nd', "x"))
    assert 'backend="a\\"b\\\\c\\nd"' in metrics.exposition()


def test_every_family_is_announced_with_kind_and_help() -> None:
    text = Metrics().exposition()
    for metric in names.METRICS:
        assert f"# TYPE {metric.name} {metric.kind}\n" in text
        assert f"# HELP {metric.name} {metric.help}\n" in text


def test_every_metric_that_has_a_name_is_exposed() -> None:
    assert {one for one in vars(names).values() if isinstance(one, names.Metric)} == set(names.METRICS)
