"""What the control plane counts, in the Prometheus text format (version 0.0.4).

Every series is a row of one table. Label values come from closed sets; nothing that the author of a pod or a
policy writes becomes one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Type(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Series:
    """One metric: its name, type, labels and what it tells."""

    name: str
    type: Type
    labels: tuple[str, ...]
    help: str


def _row(name: str, kind: Type, labels: tuple[str, ...], text: str) -> Series:
    return Series("outrider_" + name, kind, labels, text)


ADMISSIONS = _row(
    "admissions_total",
    Type.COUNTER,
    ("result", "reason"),
    "Answers about pods, and why; API servers ask about most pods twice. Dry runs apart.",
)
VALIDATIONS = _row(
    "validations_total",
    Type.COUNTER,
    ("kind", "result", "reason"),
    "Validated objects by what was answered and why.",
)
SECONDS = _row("admission_seconds", Type.HISTOGRAM, (), "Time from the request's body to its answer.")
IN_FLIGHT = _row("admission_requests_in_flight", Type.GAUGE, (), "Requests that are being answered now.")
TURNED_AWAY = _row(
    "admission_turned_away_total", Type.COUNTER, ("reason",), "Requests and connections beyond the limits."
)
LOOKUPS = _row("namespace_lookups_total", Type.COUNTER, ("how",), "Where the labels of namespaces came from.")
CERTIFICATE_EXPIRY = _row(
    "webhook_certificate_not_after_seconds",
    Type.GAUGE,
    (),
    "When the serving certificate expires, in seconds since 1970; 0 without one.",
)
AUTHORITY_EXPIRY = _row(
    "webhook_authority_not_after_seconds",
    Type.GAUGE,
    (),
    "When the webhook's own authority expires, in seconds since 1970; 0 without one.",
)
CERTIFICATE_ERRORS = _row(
    "webhook_certificate_errors_total",
    Type.COUNTER,
    (),
    "Times that a certificate or a key could not be used.",
)
CERTIFICATE_ACTS = _row(
    "webhook_certificate_acts_total", Type.COUNTER, ("act",), "What the leader wrote, by what it was for."
)
LEADER = _row("webhook_leader", Type.GAUGE, (), "1 while this replica is the one that writes.")
READY = _row("webhook_ready", Type.GAUGE, (), "1 while API servers can call this replica.")
API_ERRORS = _row(
    "webhook_api_errors_total", Type.COUNTER, ("subject", "failure"), "Calls to the API server that failed."
)
NATIVE = _row(
    "native_sidecars", Type.GAUGE, (), "1 where new pods get a native sidecar, 0 where an ordinary container."
)
STREAMS = _row("control_streams", Type.GAUGE, (), "Sidecars that are connected to this replica.")
STREAMS_ENDED = _row(
    "control_streams_ended_total", Type.COUNTER, ("why",), "Connections of sidecars that are over, and why."
)
STREAMS_REFUSED = _row(
    "control_streams_refused_total", Type.COUNTER, ("reason",), "Sidecars that were given no configuration."
)
CONFIGURATIONS_SENT = _row(
    "control_configurations_sent_total", Type.COUNTER, (), "Configurations that were sent to sidecars."
)
CONFIGURATIONS_ANSWERED = _row(
    "control_configurations_answered_total",
    Type.COUNTER,
    ("result",),
    "What sidecars said of configurations: applied, or refused.",
)
COMPILED = _row("control_compiled_total", Type.COUNTER, (), "Configurations that were worked out.")
CHANGES = _row("control_changes_total", Type.COUNTER, ("subject",), "Changes of objects that were taken in.")
DOCUMENTS = _row("control_documents", Type.GAUGE, (), "Policy objects that are known.")
CONTROL_PODS = _row("control_pods", Type.GAUGE, (), "Pods with a sidecar that are known.")
PUSH_SECONDS = _row(
    "control_push_seconds",
    Type.HISTOGRAM,
    (),
    "Time from a change until a sidecar has said that it is in force, or refused it.",
)
STATUS_WRITES = _row(
    "control_status_writes_total", Type.COUNTER, ("result",), "Statuses of policy objects that were written."
)

TABLE: Final = tuple(value for value in list(globals().values()) if isinstance(value, Series))


class _Histogram:
    __slots__ = ("_buckets", "_seconds")

    def __init__(self) -> None:
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        self._seconds += seconds
        self._buckets[bisect_left(BOUNDS, seconds)] += 1

    def lines(self, name: str) -> list[str]:
        lines, total = [], 0
        for bound, count in zip((*BOUNDS, "+Inf"), self._buckets, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {self._seconds}", f"{name}_count {total}"]


class AdmissionMetrics:
    """Counts of one server. Not thread-safe: one event loop owns it."""

    __slots__ = ("_counts", "_gauges", "_histograms")

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._gauges: dict[str, float] = {row.name: 0.0 for row in TABLE if row.type is Type.GAUGE}
        histograms = (row.name for row in TABLE if row.type is Type.HISTOGRAM)
        self._histograms = {name: _Histogram() for name in histograms}

    def count(self, result: str, reason: str, seconds: float) -> None:
        """One pod that was answered after `seconds`."""
        self.add(ADMISSIONS, result, reason)
        self.took(seconds)

    def took(self, seconds: float) -> None:
        """One answer that took so long."""
        self.observe(SECONDS, seconds)

    def observe(self, series: Series, seconds: float) -> None:
        """One more value of a histogram."""
        self._histograms[series.name].add(seconds)

    def add(self, series: Series, *labels: str) -> None:
        """One more of a counter; `labels` in the order of the table."""
        self._counts[series.name, labels] += 1

    def set(self, series: Series, value: float) -> None:
        """The value of a gauge."""
        self._gauges[series.name] = value

    def get(self, series: Series, *labels: str) -> float:
        """What a counter or a gauge is at."""
        if series.type is Type.GAUGE:
            return self._gauges[series.name]
        return self._counts[series.name, labels]

    def render(self) -> str:
        """All series in the text format."""
        lines: list[str] = []
        counts: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for (name, labels), value in sorted(self._counts.items()):
            counts.setdefault(name, []).append((labels, value))
        for row in TABLE:
            lines += [f"# HELP {row.name} {row.help}", f"# TYPE {row.name} {row.type}"]
            if row.type is Type.HISTOGRAM:
                lines += self._histograms[row.name].lines(row.name)
            elif row.type is Type.GAUGE:
                lines.append(f"{row.name} {self._gauges[row.name]:.17g}")
            else:
                lines += [_counter(row, labels, value) for labels, value in counts.get(row.name, ())]
        return "\n".join(lines) + "\n"


def _counter(row: Series, labels: tuple[str, ...], value: int) -> str:
    named = ",".join(f'{name}="{label}"' for name, label in zip(row.labels, labels, strict=True))
    return f"{row.name}{{{named}}} {value}" if named else f"{row.name} {value}"
