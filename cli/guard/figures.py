"""The figures of an evaluation as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from cli.guard.measures import FALSE, RECALL
from cli.guard.peers import FIGURES, PEERS, said
from cli.guard.results import Judged, Result, figure
from cli.guard.scores import Counts
from cli.output.blocks import Block, Heading, Line, Row, Table

COLUMNS: Final = (
    *("detector", "source", "n", "prec.", "recall", "F1", "F2", "FPR"),
    *("us/KB", "p50 us", "p99 us", "target", "", "reached"),
)
EXAMPLES: Final = 5
"""Ids that are named of what went wrong with a target."""
_NONE: Final = "-"
_FIGURES: Final = ("F2", RECALL, FALSE)


def blocks(
    results: Iterable[Result], *, skipped: Iterable[str] = (), model: Iterable[Block] = ()
) -> Iterator[Block]:
    """The table, what stands behind it, and what was missed."""
    results = list(results)
    yield Table(COLUMNS, tuple(row for result in results for row in _rows(result)))
    missed = [(result, one) for result in results for one in result.judged if not one.met]
    met = sum(one.met for result in results for one in result.judged)
    yield Heading(f"{met} of {met + len(missed)} targets met")
    for result, one in missed:
        yield Line(f"missed: {_missed(result, one)}", 2, "failed")
    for complaint in skipped:
        yield Line(f"skipped: {complaint}", 2, "warning")
    yield from _late(results)
    yield from _parts(results)
    yield from model
    yield from _peers()


def _rows(result: Result) -> Iterator[Row]:
    counts, outcome = result.outcome.counts, result.outcome
    cells = (
        result.detector,
        result.source,
        f"{counts.positives}+{counts.benign}" if result.scored else str(outcome.rows),
        *(_share(one) for one in _scores(result)),
        f"{outcome.microseconds_per_kb:.1f}",
        f"{outcome.half:.0f}",
        f"{outcome.nearly_all:.0f}",
    )
    below = tuple(_beside(result))
    first, *others = result.judged or (None,)
    yield Row((*cells, *_target(first)), () if others else below)
    for index, one in enumerate(others):
        last = index + 1 == len(others)
        yield Row((*[""] * len(cells), *_target(one)), below if last else ())


def _scores(result: Result) -> Iterator[float | None]:
    counts = result.outcome.counts
    if result.scored:
        yield from (counts.precision, counts.recall, counts.f(1), counts.f(2), counts.false_positive_rate)
    else:
        yield from [None] * 5


def _target(one: Judged | None) -> tuple[str, str, str]:
    if one is None:
        return "", "", ""
    sign = "<=" if one.target.figure == FALSE else ">="
    wanted = f"{one.target.figure} {sign} {one.target.bound:g}"
    return wanted, "ok" if one.met else "failed", _reached(one)


def _reached(one: Judged) -> str:
    return f"met: {one.value:.4f}" if one.met else f"missed by {one.short:.4f}: {one.value:.4f}"


def _beside(result: Result) -> Iterator[str]:
    """What others reach."""
    for name in _FIGURES:
        if text := said(result.detector, result.source, name):
            yield f"{name} of others: {text}"


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


def _missed(result: Result, one: Judged) -> str:
    missed, wrong = result.outcome.missed, result.outcome.wrong
    ids = {FALSE: wrong, RECALL: missed}.get(one.target.figure, list(dict.fromkeys((*missed, *wrong))))
    examples = ", ".join(ids[:EXAMPLES])
    what = f"{result.detector} on {result.source}: {_target(one)[0]}"
    return f"{what}, {_reached(one)}; {len(ids)} rows, like {examples}"


def _late(results: list[Result]) -> Iterator[Block]:
    for result in results:
        if result.outcome.late:
            ids = ", ".join(result.outcome.late[:EXAMPLES])
            yield Line(
                f"not looked at to the end: {result.detector} on {result.source}: "
                f"{len(result.outcome.late)} documents, like {ids}",
                2,
                "warning",
            )


def _parts(results: list[Result]) -> Iterator[Block]:
    for result in results:
        if result.parts:
            yield Heading(f"Recall of {result.detector} on {result.source}, told apart")
            told = [f"{name} {found}/{of}" for name, (found, of) in sorted(result.parts.items())]
            yield Line(", ".join(told), 2)


def _peers() -> Iterator[Block]:
    yield Heading("Others, as measured in November 2026 on the whole files (* on data made of its own tests)")
    yield Table(("", ""), tuple(Row((peer.name, peer.source)) for peer in PEERS))


def as_json(
    results: Iterable[Result], *, skipped: Iterable[str] = (), model: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "results": [_result(one) for one in results],
        "skipped": list(skipped),
        "model": model,
        "peers": [
            {"name": peer.name, "source": peer.source, "detector": key[0], "on": key[1], "figure": key[2]}
            | {"value": value, "own_data": bool(mark)}
            for key, figures in FIGURES.items()
            for peer, value, mark in figures
        ],
    }


def _result(result: Result) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "detector": result.detector,
        "source": result.source,
        "rows": outcome.rows,
        "scores": _scored(outcome.counts) if result.scored else None,
        "targets": [
            {"figure": one.target.figure, "bound": one.target.bound, "value": one.value, "met": one.met}
            for one in result.judged
        ],
        "parts": {name: {"found": part[0], "of": part[1]} for name, part in (result.parts or {}).items()},
        "microseconds_per_kb": outcome.microseconds_per_kb,
        "p50_microseconds": outcome.half,
        "p99_microseconds": outcome.nearly_all,
        "missed": outcome.missed,
        "wrong": outcome.wrong,
        "late": outcome.late,
    }


def _scored(counts: Counts) -> dict[str, Any]:
    return {
        "positives": counts.positives,
        "found": counts.hits,
        "benign": counts.benign,
        "wrong": counts.wrong,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f(1),
        "f2": counts.f(2),
        "false_positive_rate": figure(counts, FALSE),
    }
