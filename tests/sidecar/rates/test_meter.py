"""What counts together: rules, agents, targets, tools and users; all limits have room, or none is touched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.guardrails import Rate, RateLimits, RateScope
from mesh.reasons import Reason
from sidecar.rates import meter as module
from sidecar.rates.account import MOST_TOOLS, Account, Users, Whose
from sidecar.rates.bucket import NANOSECONDS
from sidecar.rates.meter import Exceeded, Meter, count
from sidecar.rates.slots import Slots, Taken

HOURLY = Rate(2, 3600.0)
ALICE: Whose = ("https://idp", "alice")
BOB: Whose = ("https://idp", "bob")


class Clock:
    """Nanoseconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def passes(
    meter: Meter,
    *limits: RateLimits,
    tool: str | None = None,
    agent: str = "a",
    target: str = "t",
    whose: Whose = None,
    beyond: list[Exceeded] | None = None,
) -> bool:
    """Whether one request passes."""
    counted = count(meter.account(agent, target, limits), (tool,), 1, whose)
    return meter.take(counted.lines, counted, [] if beyond is None else beyond) is None


def test_agents_and_targets_count_apart() -> None:
    meter, limits = Meter(Clock()), RateLimits("r", Rate(1, 60.0))
    for where in ({}, {"agent": "b"}, {"target": "u"}):
        assert passes(meter, limits, **where)
        assert not passes(meter, limits, **where)


def test_users_count_apart_only_where_a_rule_says_so() -> None:
    meter, limits = Meter(Clock()), RateLimits("r", Rate(1, 60.0), scope=RateScope.USER)
    assert [passes(meter, limits, whose=who) for who in (ALICE, BOB, ALICE, None, None)] == [
        True,
        True,
        False,
        True,
        False,
    ]
    together = RateLimits("s", Rate(1, 60.0))
    assert [passes(meter, together, whose=who, target="u") for who in (ALICE, BOB)] == [True, False]


def test_a_limit_without_room_leaves_the_others_as_they_are() -> None:
    meter = Meter(Clock())
    limits = RateLimits("r", Rate(2, 3600.0), tools=(("x*", Rate(1, 3600.0)),))
    assert passes(meter, limits, tool="xa")
    assert not passes(meter, limits, tool="xb")
    assert passes(meter, limits, tool="y")
    assert not passes(meter, limits, tool="y")


def test_the_wait_that_is_told_is_that_of_the_limit_that_has_room_last() -> None:
    clock = Clock()
    meter = Meter(clock)
    limits = (RateLimits("fast", Rate(1, 1.0)), RateLimits("slow", Rate(1, 60.0)))
    counted = count(meter.account("a", "t", limits), (None,), 1, None)
    assert meter.take(counted.lines, counted, []) is None
    exceeded = meter.take(counted.lines, counted, [])
    assert exceeded == Exceeded(Reason.RATE_LIMITED, limits[1], 60 * NANOSECONDS)
    clock.now += exceeded.wait - 1
    assert meter.take(counted.lines, counted, []) is not None
    clock.now += 1
    assert meter.take(counted.lines, counted, []) is None


def test_what_is_only_observed_is_told_and_refuses_nothing() -> None:
    meter, beyond = Meter(Clock()), list[Exceeded]()
    limits = RateLimits("r", Rate(1, 60.0), observe=True)
    assert [passes(meter, limits, beyond=beyond) for _ in range(3)] == [True] * 3
    assert [one.limits for one in beyond] == [limits] * 2


def test_another_policy_with_the_same_rate_goes_on_counting() -> None:
    meter, old = Meter(Clock()), RateLimits("r", Rate(1, 60.0))
    assert passes(meter, old)
    assert not passes(meter, replace(old), RateLimits("more", concurrent=3))
    assert passes(meter, replace(old, every=Rate(2, 60.0)))


def test_memory_is_bounded_for_any_number_of_users_tools_and_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ACCOUNTS", 8)
    meter = Meter(Clock(), Users(16))
    limits = RateLimits("r", HOURLY, tools=(("x*", HOURLY),), scope=RateScope.USER)
    for n in range(MOST_TOOLS * 3):
        passes(meter, limits, tool=f"x{n}", whose=("i", str(n)))
        passes(meter, limits, agent=f"peer-{n}", whose=ALICE)
    assert len(meter.users) <= 16
    assert len(meter._accounts) <= 8
    assert all(len(account._by_tool) <= MOST_TOOLS for account in meter._accounts.values())


def test_who_is_busy_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ACCOUNTS", 2)
    meter, limits = Meter(Clock()), RateLimits("r", concurrent=1)
    begun = meter.begin(count(meter.account("a", "t", (limits,)), (None,), 1, None), [])
    assert isinstance(begun, Taken)
    for n in range(5):
        meter.account(f"b{n}", "t", (limits,))
    again = meter.begin(count(meter.account("a", "t", (limits,)), (None,), 1, None), [])
    assert again == Exceeded(Reason.TOO_MANY_CONCURRENT, limits, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([None, ALICE, BOB]), st.integers(1, 3))))
def test_slots_return_to_none_whatever_ends_when(steps: list[tuple[int, Whose, int]]) -> None:
    meter, under_way = Meter(Clock()), list[Taken]()
    limits = (RateLimits("r", concurrent=3, scope=RateScope.USER), RateLimits("s", concurrent=4))
    account: Account = meter.account("a", "t", limits)
    for place, whose, more in steps:
        if place and under_way:
            ended = under_way.pop(place % len(under_way))
            ended.give()
            ended.give()
            continue
        begun = meter.begin(count(account, (None,), more, whose), [])
        if isinstance(begun, Taken):
            under_way.append(begun)
        assert account.most[1].slots.taken() <= 4
        assert account.most[0].slots.taken(whose) <= 3
    for taken in under_way:
        taken.give()
    assert not account.busy


def test_slots_that_a_new_policy_has_less_of_are_still_given_back() -> None:
    meter = Meter(Clock())
    begun = meter.begin(
        count(meter.account("a", "t", (RateLimits("r", concurrent=3),)), (None,), 3, None), []
    )
    less = meter.account("a", "t", (RateLimits("r", concurrent=1),))
    assert isinstance(begun, Taken)
    assert less.busy
    begun.give()
    assert not less.busy
    assert not Slots(1)
