"""Token buckets: never more than the rate, and a time to come back that is exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.guardrails import Rate
from sidecar.rates.bucket import NANOSECONDS, NEVER, Bucket

RATES = st.builds(
    Rate,
    st.integers(1, 1000),
    st.sampled_from([1.0, 60.0, 3600.0]),
    st.one_of(st.just(0), st.integers(1, 1000)),
)
STEPS = st.lists(st.tuples(st.integers(0, 100 * NANOSECONDS), st.integers(1, 5)), max_size=60)


@given(RATES, STEPS)
def test_in_no_span_passes_more_than_a_burst_and_what_the_rate_gives(
    rate: Rate, steps: list[tuple[int, int]]
) -> None:
    bucket, now, passed = Bucket(rate), 0, []
    for pause, count in steps:
        now += pause
        if bucket.take(now, count) == 0:
            passed.append((now, count))
    burst = rate.burst or rate.requests
    for first, (begin, _) in enumerate(passed):
        total = 0
        for at, count in passed[first:]:
            total += count
            assert total * rate.seconds * NANOSECONDS <= (
                rate.requests * (at - begin) + burst * rate.seconds * NANOSECONDS
            )


@given(RATES, STEPS, st.integers(1, 5))
def test_who_is_told_a_time_passes_then_and_no_nanosecond_earlier(
    rate: Rate, steps: list[tuple[int, int]], count: int
) -> None:
    bucket, now = Bucket(rate), 0
    for pause, more in steps:
        now += pause
        bucket.take(now, more)
    wait = bucket.take(now, count)
    if wait > 0:
        assert bucket.take(now + wait - 1, count) > 0
        assert bucket.take(now + wait, count) == 0
    elif wait == NEVER:
        assert count > (rate.burst or rate.requests)


@given(RATES, st.lists(st.integers(-(10**12), 10**12), max_size=40))
def test_a_clock_that_goes_back_gives_nothing_away_and_locks_nobody_out(rate: Rate, jumps: list[int]) -> None:
    bucket, now = Bucket(rate), 10**15
    for jump in jumps:
        now += jump
        while bucket.take(now) == 0:
            pass
        wait = bucket.take(now)
        # No longer than the time that one token takes, whatever came before.
        assert 0 < wait <= -(-rate.seconds * NANOSECONDS // rate.requests)


def test_a_burst_is_what_passes_at_once() -> None:
    bucket = Bucket(Rate(60, 60.0, 3))
    assert [bucket.take(0) for _ in range(4)] == [0, 0, 0, NANOSECONDS]
    assert Bucket(Rate(60, 60.0)).take(0, 60) == 0
    assert Bucket(Rate(60, 60.0)).take(0, 61) == NEVER


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_put_back_was_never_taken(count: int) -> None:
    bucket = Bucket(Rate(2, 1.0))
    bucket.take(5, count)
    bucket.put_back()
    assert bucket.take(5, 2) == 0
    assert bucket.take(5) == NANOSECONDS // 2
