"""Each caller has its own questions, and gets new ones as time passes."""

from __future__ import annotations

import pytest

from sidecar.credentials import questions
from sidecar.credentials.questions import Questions
from sidecar.credentials.verified import TokenRefused
from tests.support.credentials import Clock


def taken(asked: Questions, caller: str, most: int = 20) -> int:
    for number in range(most):
        try:
            asked.take(caller)
        except TokenRefused:
            return number
    return most


def test_a_caller_has_a_burst_and_then_what_time_gives() -> None:
    clock = Clock()
    asked = Questions(clock, per_second=2, burst=5)
    assert (taken(asked, "a"), taken(asked, "a"), taken(asked, "b")) == (5, 0, 5)
    clock.now += 1.5
    assert taken(asked, "a") == 3
    clock.now += 100
    assert taken(asked, "a") == 5


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    clock = Clock()
    asked = Questions(clock, per_second=1, burst=2)
    assert taken(asked, "a") == 2
    clock.now -= 50
    assert taken(asked, "a") == 0
    clock.now += 1
    assert taken(asked, "a") == 1


def test_callers_are_forgotten_that_ask_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "MOST_CALLERS", 2)
    asked = Questions(Clock(), burst=1)
    for caller in "abac":
        taken(asked, caller)
    assert len(asked) == 2
    assert (taken(asked, "a"), taken(asked, "c")) == (0, 0)
