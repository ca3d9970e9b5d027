"""What holds of the cache whatever happens, in any order: nobody gets another's credential, nor an expired one."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mesh.reasons import Reason
from sidecar.credentials.cache import TokenCache
from sidecar.credentials.issued import CredentialRefused, Issued
from tests.support.credentials import Clock, settle
from tests.support.fuzzing import examples

LIMIT = 4
USERS = tuple("abcdefgh")
REASONS = [Reason.CREDENTIAL_REFUSED, Reason.CREDENTIAL_UNAVAILABLE, Reason.CREDENTIAL_ANSWER_INVALID]
users = st.sampled_from(USERS)


class Caching(RuleBasedStateMachine):
    """Requests of eight users come and go, a server answers when it likes, and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.broken: list[object] = []
        self.loop.set_exception_handler(lambda _, context: self.broken.append(context))
        self.cache: TokenCache[str] = TokenCache(limit=LIMIT, now=self.clock, draw=lambda: 0.5)
        self.under_way: list[tuple[str, asyncio.Future[Issued]]] = []
        self.waiting: list[tuple[str, asyncio.Task[Issued]]] = []
        self.until = {user: self.clock.now + 1000.0 * (number + 1) for number, user in enumerate(USERS)}
        self.asked: Counter[str] = Counter()
        self.doubled: list[str] = []

    async def mint(self, user: str) -> Issued:
        """Asks the server, which answers when the machine says."""
        if any(user == other for other, _ in self.under_way):
            self.doubled.append(user)
        answer: asyncio.Future[Issued] = self.loop.create_future()
        flight = (user, answer)
        self.under_way.append(flight)
        self.asked[user] += 1
        try:
            return await answer
        finally:
            self.under_way.remove(flight)

    def run(self) -> None:
        self.loop.run_until_complete(settle())

    def check(self, user: str, issued: Issued) -> None:
        assert issued.secrets == (user.encode(),), "another's"
        assert issued.expires > self.clock.now, "expired"
        assert self.until[user] > self.clock.now, "the user's token has expired"

    @rule(user=users)
    def want(self, user: str) -> None:
        if self.until[user] <= self.clock.now:
            return

        async def obtain() -> Issued:
            return await self.cache.obtain(user, lambda: self.mint(user), until=self.until[user])

        self.waiting.append((user, self.loop.create_task(obtain())))
        self.run()
        self.collect()

    @rule(user=users, life=st.sampled_from([300.0, 5000.0, float("inf")]))
    def get(self, user: str, life: float) -> None:
        """Ask, and have it answered at once: so the cache fills."""
        self.want(user)
        for other, answer in list(self.under_way):
            if other == user:
                answer.set_result(Issued([], (user.encode(),), self.clock.now + life))
        self.run()
        self.collect()

    @rule(user=users)
    def look(self, user: str) -> None:
        async def look() -> Issued | None:
            return self.cache.ready(user)

        issued = self.loop.run_until_complete(look())
        if issued is not None:
            self.check(user, issued)
        self.run()

    @rule(life=st.sampled_from([0.5, 3.0, 20.0, 300.0, 5000.0, float("inf"), -1.0]), number=st.integers(0, 3))
    def answer(self, life: float, number: int) -> None:
        if number < len(self.under_way):
            user, answer = self.under_way[number]
            answer.set_result(Issued([], (user.encode(),), self.clock.now + life))
            self.run()
            self.collect()

    @rule(reason=st.sampled_from(REASONS), number=st.integers(0, 3), wait=st.sampled_from([None, 2.0, 1e9]))
    def refuse(self, reason: Reason, number: int, wait: float | None) -> None:
        if number < len(self.under_way):
            self.under_way[number][1].set_exception(CredentialRefused(reason, "no", wait))
            self.run()
            self.collect()

    @rule(number=st.integers(0, 5))
    def leave(self, number: int) -> None:
        if number < len(self.waiting):
            self.waiting[number][1].cancel()
            self.run()
            self.collect()

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 30.0, 200.0, 900.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(user=users)
    def forget(self, user: str) -> None:
        issued = self.loop.run_until_complete(self.ready(user))
        if issued is not None:
            assert self.cache.forget(user, issued)
            assert self.loop.run_until_complete(self.ready(user)) is None

    async def ready(self, user: str) -> Issued | None:
        return self.cache.ready(user)

    def collect(self) -> None:
        for user, task in [one for one in self.waiting if one[1].done()]:
            if not task.cancelled():
                refused = task.exception()
                assert refused is None or isinstance(refused, CredentialRefused)
                if refused is None:
                    self.check(user, task.result())
        self.waiting = [one for one in self.waiting if not one[1].done()]

    @invariant()
    def bounded(self) -> None:
        assert len(self.cache) <= LIMIT
        assert self.cache.refusals <= LIMIT

    @invariant()
    def asked_for_by_one_at_a_time(self) -> None:
        assert self.doubled == []

    @invariant()
    def who_waits_is_asked_for(self) -> None:
        wanted = {user for user, _ in self.waiting}
        assert wanted <= {user for user, _ in self.under_way}

    @invariant()
    def nothing_broke(self) -> None:
        assert self.broken == []

    def teardown(self) -> None:
        for _, task in self.waiting:
            task.cancel()
        for _, answer in self.under_way:
            answer.cancel()
        self.run()
        assert self.under_way == []
        self.loop.close()


Caching.TestCase.settings = settings(
    max_examples=examples(80),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_no_order_of_events_breaks_the_cache() -> None:
    Caching.TestCase("runTest").runTest()
