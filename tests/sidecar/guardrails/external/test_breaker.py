"""When a detector is left alone, and when it is tried again."""

from __future__ import annotations

from sidecar.guardrails.external.breaker import Breaker, Turn


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_failures_in_a_row_open_it() -> None:
    breaker = Breaker(Clock(), failures=2)
    assert [breaker.silent(), breaker.answered(), breaker.silent(), breaker.silent()] == [
        *(False, False, False, True)
    ]
    assert breaker.open
    assert not breaker.enter()


def test_one_tries_when_the_time_is_over_and_decides_for_all() -> None:
    clock = Clock()
    breaker = Breaker(clock, failures=1, seconds=10)
    breaker.silent()
    clock.now = 10
    assert [breaker.enter(), breaker.enter()] == [True, False]
    assert not breaker.silent()
    assert not breaker.enter()
    clock.now = 20
    assert breaker.enter()
    assert breaker.answered()
    assert [breaker.open, breaker.enter(), breaker.enter()] == [False, True, True]


def test_who_tried_and_went_away_leaves_the_try_to_the_next() -> None:
    clock = Clock()
    breaker = Breaker(clock, failures=1, seconds=10)
    breaker.silent()
    clock.now = 10
    turn = Turn(breaker)
    assert turn.enter()
    turn.abandoned()
    turn.abandoned()
    assert breaker.open
    assert breaker.enter()


def test_a_turn_says_one_thing_and_only_if_it_was_let_in() -> None:
    breaker = Breaker(Clock(), failures=1)
    waiting, asking = Turn(breaker), Turn(breaker)
    assert not waiting.silent()
    assert not breaker.open
    assert asking.enter()
    assert asking.silent()
    assert not asking.answered()
    assert breaker.open
