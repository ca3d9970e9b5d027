from __future__ import annotations

from webhook.identity.rate_limit import RateLimit


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    clock = Seconds()
    limit = RateLimit(clock, per_minute=6, burst=2)
    assert [limit.wait("a") for _ in range(3)] == [0.0, 0.0, 10.0]
    clock.now = 9
    assert 0.9 < limit.wait("a") < 1.1
    clock.now = 10
    assert limit.wait("a") == 0.0


def test_asking_too_early_costs_nothing_more() -> None:
    clock = Seconds()
    limit = RateLimit(clock, per_minute=6, burst=1)
    assert limit.wait("a") == 0.0
    for clock.now in range(1, 10):
        assert limit.wait("a") > 0
    clock.now = 10.001
    assert limit.wait("a") == 0.0


def test_callers_do_not_share_and_quiet_ones_are_forgotten() -> None:
    clock = Seconds()
    limit = RateLimit(clock, per_minute=1, burst=1, most_callers=2)
    assert [limit.wait(name) for name in "abc"] == [0.0, 0.0, 0.0]
    assert limit.wait("c") > 0
    assert limit.wait("b") > 0
    assert limit.wait("a") == 0.0
