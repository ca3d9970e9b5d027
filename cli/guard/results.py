"""Everything that an evaluation found out, as values: the table, the plot and the JSON are made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cli.guard.measures import (
    FALSE,
    MEASURES,
    PIN_TARGETS,
    PINNED,
    PINNING,
    TOGETHER,
    Measure,
    Target,
)
from cli.guard.pinning import pairs_judged
from cli.guard.rows import Data, Row
from cli.guard.running import Outcome, run
from cli.guard.scores import Counts
from mesh.policy.guardrails import DEFAULT_ACTIONS, NO_OPTIONS

ALL: Final = "all five"


@dataclass(frozen=True, slots=True)
class Judged:
    """A target, and what was reached."""

    target: Target
    value: float

    @property
    def met(self) -> bool:
        """Whether it is good enough."""
        return self.target.met(self.value)

    @property
    def short(self) -> float:
        """By how much it is missed; negative where it is met."""
        away = self.target.bound - self.value
        return -away if self.target.figure == FALSE else away


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table. `parts`: recall by a member of the rows, (found, of so many) each."""

    detector: str
    source: str
    outcome: Outcome
    judged: tuple[Judged, ...] = ()
    parts: Mapping[str, tuple[int, int]] | None = None
    scored: bool = True


def figure(counts: Counts, name: str) -> float | None:
    """One of the figures that targets are about."""
    match name:
        case "recall":
            return counts.recall
        case "F2":
            return counts.f(2)
    return counts.false_positive_rate


def evaluate(data: Data, detectors: frozenset[str]) -> Iterator[Result]:
    """Measure what there are rows for, in the order of the table."""
    pooled: dict[str, list[Outcome]] = defaultdict(list)
    done: list[Result] = []
    for measure in MEASURES:
        if measure.detector in detectors:
            rows = [row for file in measure.files for row in data.rows.get(file, ()) if measure.take(row)]
            if rows:
                result = _measured(measure, rows)
                done.append(result)
                if measure.pooled:
                    pooled[measure.detector].append(result.outcome)
    for index, result in enumerate(done):
        yield result
        last = index + 1 == len(done) or done[index + 1].detector != result.detector
        if last and len(pooled[result.detector]) > 1:
            yield Result(result.detector, "together", _joined(pooled[result.detector]))
    if PINNING in detectors and data.rows.get(PINNED):
        outcome = pairs_judged(data.rows[PINNED])
        yield Result(PINNING, PINNED, outcome, judged(outcome.counts, PIN_TARGETS))
    yield from _together(data, detectors)


def _measured(measure: Measure, rows: list[Row]) -> Result:
    outcome = run(rows, (measure.question,), measure.framing, measure.scoring)
    parts = _parts(measure.breakdown, rows, outcome) if measure.breakdown else None
    return Result(measure.detector, measure.source, outcome, judged(outcome.counts, measure.targets), parts)


def judged(counts: Counts, targets: tuple[Target, ...]) -> tuple[Judged, ...]:
    """The targets that there are figures for."""
    values = [(target, figure(counts, target.figure)) for target in targets]
    return tuple(Judged(target, value) for target, value in values if value is not None)


def _parts(member: str, rows: list[Row], outcome: Outcome) -> dict[str, tuple[int, int]]:
    missed = set(outcome.missed)
    parts: dict[str, tuple[int, int]] = {}
    for row in rows:
        if row.label:
            found, of = parts.get(str(row.fields.get(member)), (0, 0))
            parts[str(row.fields.get(member))] = (found + (row.id not in missed), of + 1)
    return parts


def _joined(outcomes: list[Outcome]) -> Outcome:
    joined = Outcome()
    for one in outcomes:
        joined.rows += one.rows
        joined.counts.add(one.counts)
        joined.seconds += one.seconds
        joined.size += one.size
        joined.late += one.late
    return joined


def _together(data: Data, detectors: frozenset[str]) -> Iterator[Result]:
    """What all detectors that are on by default cost together."""
    if not detectors >= {kind.value for kind in DEFAULT_ACTIONS}:
        return
    questions = tuple((kind, NO_OPTIONS[kind]) for kind in DEFAULT_ACTIONS)
    for file, framing in TOGETHER:
        rows = data.rows.get(file)
        if rows:
            yield Result(ALL, file, run(rows, questions, framing), scored=False)
