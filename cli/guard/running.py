"""Runs rows through the engine of the sidecar, and counts and measures what comes of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cli.guard.framing import Framing, as_result
from cli.guard.rows import Row
from cli.guard.scores import Counts, percentile
from cli.guard.spans import Scoring, score_document
from mesh.policy.guardrails import Action, DetectorKind, Direction, Guardrails, Options, Processor
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.verdict import Verdict

REPEATS: Final = 2
"""Each document is examined so many times, and the fastest counts: the machine does other things as well."""

_FIRST: Final = as_result("a first text")

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

    def tell(self, row: Row, counts: Counts) -> None:
        """Add what came of one row."""
        self.rows += 1
        self.counts.add(counts)
        if counts.hits < counts.positives:
            self.missed.append(row.id)
        if counts.right < counts.told:
            self.wrong.append(row.id)

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


def engine(questions: Iterable[Question]) -> Engine:
    """The sidecar's engine with these detectors, and its limits, of CPU time instead of the clock's.

    A new one, so that it knows no text again, but ready for its first message.
    """
    processors = tuple(Processor(kind.value, kind, Action.FLAG, options) for kind, options in questions)
    made = Engine(Guardrails(processors), clock=time.thread_time)
    made.examine(_FIRST, Direction.RESPONSE)
    return made


def run(
    rows: Iterable[Row],
    questions: Sequence[Question],
    framing: Framing,
    scoring: Scoring = score_document,
) -> Outcome:
    """Examine each row as a message on its way to the agent that was never seen before."""
    outcome = Outcome()
    for row in rows:
        verdict, seconds, size = _examined(questions, row, framing)
        outcome.tell(row, scoring(row, verdict.findings))
        outcome.seconds.append(seconds)
        outcome.size += size
        if verdict.failed:
            outcome.late.append(row.id)
    return outcome


def _examined(questions: Sequence[Question], row: Row, framing: Framing) -> tuple[Verdict, float, int]:
    size = len(row.text.encode(errors="surrogatepass"))
    best = float("inf")
    for _ in range(REPEATS):
        asked = engine(questions)
        roots = framing(row.text)
        before = time.thread_time()
        verdict = asked.examine(roots, Direction.RESPONSE, None, size)
        best = min(best, time.thread_time() - before)
    return verdict, best, size
