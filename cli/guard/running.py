"""Runs rows through the engine of the sidecar, and counts and measures what comes of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from cli.guard.framing import Framing
from cli.guard.rows import Row
from cli.guard.scores import Counts, percentile
from cli.guard.spans import Scoring, score_document
from mesh.policy.guardrails import Action, DetectorKind, Direction, Guardrails, Options, Processor
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.verdict import Verdict

REPEATS: Final = 2
"""Each document is examined so many times, and the fastest counts: the machine does other things as well."""

Question = tuple[DetectorKind, Options]


@dataclass(slots=True)
class Outcome:
    """What came of some rows. `missed` and `wrong` are ids of rows; `late` documents were not examined to their
    end in the time that a sidecar takes for a message."""

    rows: int = 0
    counts: Counts = field(default_factory=Counts)
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    size: int = 0

    @property
    def microseconds_per_kb(self) -> float:
        """CPU time for 1024 bytes of text."""
        return sum(self.seconds) * 1e6 / (self.size / 1024) if self.size else 0.0

    @property
    def half(self) -> float:
        """Microseconds within which half of the documents are done."""
        return percentile(self.seconds, 0.5) * 1e6

    @property
    def nearly_all(self) -> float:
        """Microseconds within which 99 of 100 documents are done."""
        return percentile(self.seconds, 0.99) * 1e6


@cache
def engine(*questions: Question) -> Engine:
    """The sidecar's engine with these detectors, and its limits, of CPU time instead of the clock's."""
    processors = tuple(Processor(kind.value, kind, Action.FLAG, options) for kind, options in questions)
    return Engine(Guardrails(processors), clock=time.thread_time)


def run(
    rows: Iterable[Row],
    questions: Sequence[Question],
    framing: Framing,
    scoring: Scoring = score_document,
) -> Outcome:
    """Examine each row as a message on its way to the agent."""
    asked = engine(*questions)
    outcome = Outcome()
    for row in rows:
        verdict, seconds, size = _examined(asked, row, framing)
        counts = scoring(row, verdict.findings)
        outcome.rows += 1
        outcome.counts.add(counts)
        outcome.seconds.append(seconds)
        outcome.size += size
        if counts.hits < counts.positives:
            outcome.missed.append(row.id)
        if counts.right < counts.told:
            outcome.wrong.append(row.id)
        if verdict.failed:
            outcome.late.append(row.id)
    return outcome


def _examined(asked: Engine, row: Row, framing: Framing) -> tuple[Verdict, float, int]:
    size = len(row.text.encode(errors="surrogatepass"))
    best = float("inf")
    for _ in range(REPEATS):
        roots = framing(row.text)
        before = time.thread_time()
        verdict = asked.examine(roots, Direction.RESPONSE, None, size)
        best = min(best, time.thread_time() - before)
    return verdict, best, size
