from __future__ import annotations

from webhook.readiness import Readiness


def test_a_replica_that_was_ready_stays_so_for_a_moment() -> None:
    problems, now = [["not yet"]], [0.0]
    readiness = Readiness([lambda: problems[0], list], lambda: now[0])
    assert readiness.problems() == ["not yet"]
    problems[0] = []
    assert readiness.problems() == []
    problems[0] = ["reset"]
    now[0] = 9.9
    assert readiness.problems() == []
    now[0] = 10.0
    assert readiness.problems() == ["reset"]
