from __future__ import annotations

from sidecar.identity.told_once import ToldOnce


def test_the_same_cause_is_told_once_until_it_is_over() -> None:
    told: list[str] = []
    once = ToldOnce(told.append)
    once.problem("gone", "gone since noon")
    once.problem("gone", "gone since one")
    once.problem("late", "late")
    once.problem("gone", "gone again")
    once.over()
    once.problem("gone", "gone a third time")
    assert told == ["gone since noon", "late", "gone again", "gone a third time"]
