"""What the admission server counts, in the Prometheus text format (version 0.0.4).

One counter with two labels whose values come from closed sets: `result` and `reason`. Nothing that a pod's author
writes becomes a label value.
"""

from __future__ import annotations

from collections import Counter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ADMISSIONS = "outrider_admissions_total"
_SECONDS = "outrider_admission_seconds"
_EXPIRY = "outrider_webhook_certificate_not_after_seconds"
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class AdmissionMetrics:
    """Counts of one server. Not thread-safe: one event loop owns it."""

    __slots__ = ("_admissions", "_buckets", "_seconds", "certificate_not_after")

    def __init__(self) -> None:
        self._admissions: Counter[tuple[str, str]] = Counter()
        self._buckets = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0
        self.certificate_not_after = 0.0
        """When the serving certificate expires, in seconds since 1970; 0 while none is loaded."""

    def count(self, result: str, reason: str, seconds: float) -> None:
        """One admission request that was answered after `seconds`."""
        self._admissions[result, reason] += 1
        self._seconds += seconds
        place = next((index for index, bound in enumerate(_BOUNDS) if seconds <= bound), len(_BOUNDS))
        self._buckets[place] += 1

    def render(self) -> str:
        """All series in the text format."""
        lines = [
            f"# HELP {_ADMISSIONS} Admission requests by what was answered and why.",
            f"# TYPE {_ADMISSIONS} counter",
            *(
                f'{_ADMISSIONS}{{result="{result}",reason="{reason}"}} {count}'
                for (result, reason), count in sorted(self._admissions.items())
            ),
            f"# HELP {_SECONDS} Time from the request's body to its answer.",
            f"# TYPE {_SECONDS} histogram",
            *self._histogram(),
            f"# HELP {_EXPIRY} When the serving certificate expires, in seconds since 1970.",
            f"# TYPE {_EXPIRY} gauge",
            f"{_EXPIRY} {self.certificate_not_after}",
        ]
        return "\n".join(lines) + "\n"

    def _histogram(self) -> list[str]:
        lines, total = [], 0
        for bound, count in zip((*_BOUNDS, "+Inf"), self._buckets, strict=True):
            total += count
            lines.append(f'{_SECONDS}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{_SECONDS}_sum {self._seconds}", f"{_SECONDS}_count {total}"]
