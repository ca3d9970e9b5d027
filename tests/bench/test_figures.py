from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import OTHERS_SHARE, Results, Verdict, difference, quiet, ratio


def test_a_figure_is_the_median_of_its_repetitions() -> None:
    results = Results()
    for value in (23.0, 90.0, 22.0):
        results.add("nginx", "plain", {"cpu_us": value})
    assert results.get("nginx", "plain", "cpu_us") == 23.0


def test_a_figure_that_was_not_measured_is_none() -> None:
    results = Results()
    assert results.get("nginx", "plain", "cpu_us") is None
    assert results.spread("nginx", "plain", "cpu_us") is None


def test_asking_for_a_figure_does_not_make_one() -> None:
    results = Results()
    results.get("nginx", "plain", "cpu_us")
    assert not results.values


def test_disturbed_repetitions_do_not_count() -> None:
    results = Results()
    for cpu, others in ((20.0, 0.02), (60.0, 0.55), (70.0, 0.60), (22.0, 0.05), (21.0, 0.04)):
        results.add("nginx", "plain", {"cpu_us": cpu, OTHERS_SHARE: others})
    assert results.get("nginx", "plain", "cpu_us") == 21.0


def test_of_noisy_repetitions_the_better_half_counts() -> None:
    assert quiet([1.0, 2.0, 3.0, 4.0], [0.9, 0.2, 0.8, 0.3]) == [2.0, 4.0]


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), min_size=1, max_size=9))
def test_some_repetition_always_counts(repetitions: list[tuple[float, float]]) -> None:
    values, shares = [value for value, _ in repetitions], [share for _, share in repetitions]
    kept = quiet(values, shares)
    assert 2 * len(kept) >= len(values)
    assert set(kept) <= set(values)


def test_the_spread_is_relative_to_the_median() -> None:
    results = Results()
    for value in (90.0, 100.0, 130.0):
        results.add("nginx", "plain", {"cpu_us": value})
    assert results.spread("nginx", "plain", "cpu_us") == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [(21.0, 42.0, 0.5), (None, 42.0, None), (21.0, None, None), (21.0, 0.0, None)],
)
def test_a_ratio_needs_both_figures(ours: float | None, theirs: float | None, expected: float | None) -> None:
    assert ratio(ours, theirs) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [(90.0, 26.0, 64.0), (None, 26.0, None), (90.0, None, None), (90.0, 0.0, 90.0)],
)
def test_a_difference_needs_both_figures(
    ours: float | None, theirs: float | None, expected: float | None
) -> None:
    assert difference(ours, theirs) == expected


@pytest.mark.parametrize(
    ("measured", "met", "sentence"),
    [
        (0.55, True, "met"),
        (0.7, True, "met"),
        (0.84, False, "missed by 20 %"),
        (None, None, "not measured"),
    ],
)
def test_a_verdict_says_whether_the_target_is_met(
    measured: float | None, met: bool | None, sentence: str
) -> None:
    verdict = Verdict("CPU", measured, 0.7, "x")
    assert verdict.met is met
    assert verdict.sentence == sentence
