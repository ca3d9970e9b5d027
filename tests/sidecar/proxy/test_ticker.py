"""The ticker: deadlines kept with one timer and an injected clock."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.proxy.ticker import NEVER, Ticker
from tests.support.fakes import Clock


class Member:
    """Counts how often it expired."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.expired = 0

    def expire(self) -> None:
        self.expired += 1
        self.deadline = NEVER


@pytest.mark.parametrize(("now", "expired"), [(9.9, 0), (10.0, 1), (11.0, 1)])
def test_a_member_expires_at_its_deadline_and_not_before(now: float, expired: int) -> None:
    clock, member = Clock(0.0), Member(10.0)
    ticker = Ticker(1.0, clock)
    ticker.add(member)
    clock.now = now
    ticker.expire_due()
    assert member.expired == expired


def test_a_member_without_deadline_never_expires() -> None:
    member = Member(NEVER)
    ticker = Ticker(1.0, Clock(1e300))
    ticker.add(member)
    ticker.expire_due()
    assert member.expired == 0


def test_a_member_that_left_is_left_alone_and_may_leave_twice() -> None:
    member = Member(0.0)
    ticker = Ticker(1.0, Clock())
    ticker.add(member)
    ticker.discard(member)
    ticker.discard(member)
    ticker.expire_due()
    assert member.expired == 0


def test_a_deadline_that_was_moved_counts_as_it_stands_now() -> None:
    clock, member = Clock(0.0), Member(10.0)
    ticker = Ticker(1.0, clock)
    ticker.add(member)
    clock.now, member.deadline = 15.0, 20.0
    ticker.expire_due()
    assert member.expired == 0


def test_members_may_come_and_go_while_others_expire() -> None:
    ticker = Ticker(1.0, Clock())

    class Leaving(Member):
        def expire(self) -> None:
            super().expire()
            ticker.discard(self)
            ticker.add(Member(0.0))

    members = [Leaving(0.0) for _ in range(10)]
    for member in members:
        ticker.add(member)
    ticker.expire_due()
    assert [member.expired for member in members] == [1] * 10


class Recurring(Member):
    """Stays due, and says so each time."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.ticks: asyncio.Queue[int] = asyncio.Queue()

    def expire(self) -> None:
        self.ticks.put_nowait(1)

    async def seen(self, ticks: int) -> None:
        for _ in range(ticks):
            await asyncio.wait_for(self.ticks.get(), 60)


async def test_once_started_it_ticks_again_and_again_until_it_is_stopped() -> None:
    stopped, running = Ticker(0.001, Clock()), Ticker(0.001, Clock())
    member, other = Recurring(), Recurring()
    stopped.add(member)
    running.add(other)
    stopped.start()
    await member.seen(3)
    stopped.stop()
    stopped.stop()
    running.start()
    await other.seen(5)
    running.stop()
    assert member.ticks.empty()


class Seen:
    """Something watched: it is looked at a given number of times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.looks: list[float] = []

    def look(self, now: float) -> bool:
        self.looks.append(now)
        return len(self.looks) < self.left


def test_what_is_watched_is_looked_at_on_each_tick_until_it_has_nothing_to_look_for() -> None:
    clock = Clock(1.0)
    ticker = Ticker(1.0, clock)
    seen = Seen(2)
    ticker.watch(seen)
    for clock.now in (2.0, 3.0, 4.0):
        ticker.expire_due()
    assert seen.looks == [2.0, 3.0]


class Failing(Member):
    """Raises when it expires."""

    def expire(self) -> None:
        self.expired += 1
        raise RuntimeError("a member's own fault")


async def test_a_member_that_fails_does_not_end_the_limits_of_the_others() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    ticker = Ticker(0.001, asyncio.get_running_loop().time)
    failing = Failing(0.0)
    ticker.add(failing)
    ticker.start()
    try:
        async with asyncio.timeout(60):
            while failing.expired < 2:
                await asyncio.sleep(0.001)
    finally:
        ticker.stop()
    assert len(told) >= 2
