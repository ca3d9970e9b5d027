"""One question for all who want the same, renewal ahead of the end, and refusals that are remembered."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest

from mesh.reasons import Reason
from sidecar.credentials.cache import TokenCache
from sidecar.credentials.issued import CredentialRefused, Issued
from tests.support.credentials import Clock, Issuing, settle


class World:
    """A cache of 8 with a clock, and an issuer of credentials that live 100 seconds."""

    def __init__(self, limit: int = 8) -> None:
        self.clock = Clock()
        self.draw = 0.0
        self.counted: list[tuple[str, str]] = []
        self.issuing = Issuing(self.clock)
        self.cache: TokenCache[str] = TokenCache(
            limit=limit,
            now=self.clock,
            draw=lambda: self.draw,
            counted=lambda key, outcome: self.counted.append((key, outcome)),
        )

    async def obtain(self, key: str = "a", until: float = float("inf")) -> Issued:
        return await self.cache.obtain(key, self.issuing.mint, until=until)

    def start(self, key: str = "a") -> asyncio.Task[Issued]:
        return asyncio.create_task(self.obtain(key))


class Timers:
    """The loop's timers, which fire when they are told."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.pending: list[Callable[[], None]] = []
        patched.setattr(asyncio.get_running_loop(), "call_later", self.later)

    def later(self, seconds: float, callback: Callable[[], None]) -> object:
        self.pending.append(callback)
        return object()

    def fire(self) -> None:
        (callback,) = self.pending
        self.pending.clear()
        callback()


@pytest.fixture
def world() -> World:
    return World()


async def test_what_was_obtained_is_ready_for_its_key_alone(world: World) -> None:
    assert world.cache.ready("a") is None
    issued = await world.obtain()
    assert world.cache.ready("a") is issued
    assert world.cache.ready("b") is None
    assert await world.obtain() is issued
    assert world.issuing.begun == 1


async def test_it_is_not_given_out_in_the_last_five_seconds(world: World) -> None:
    await world.obtain()
    world.issuing.refuse(Reason.CREDENTIAL_UNAVAILABLE)
    world.clock.now += 94.9
    assert world.cache.ready("a") is not None
    world.clock.now += 0.2
    assert world.cache.ready("a") is None
    assert len(world.cache) == 0
    await settle()


async def test_a_life_of_seconds_has_a_shorter_margin(world: World) -> None:
    world.issuing.life = 4.0
    await world.obtain()
    world.clock.now += 2.9
    assert world.cache.ready("a") is not None
    world.clock.now += 0.2
    assert world.cache.ready("a") is None
    await settle()


async def test_what_does_not_expire_is_never_renewed(world: World) -> None:
    world.issuing.life = float("inf")
    issued = await world.obtain()
    world.clock.now += 1e9
    assert world.cache.ready("a") is issued
    await settle()
    assert world.issuing.begun == 1


async def test_a_thousand_that_want_it_at_once_ask_once(world: World) -> None:
    world.issuing.hold()
    waiting = [world.start() for _ in range(1000)]
    await settle()
    world.issuing.release()
    got = await asyncio.gather(*waiting)
    assert len({id(one) for one in got}) == 1
    assert world.issuing.begun == 1


async def test_all_who_wait_get_the_same_refusal_and_each_its_own_exception(world: World) -> None:
    world.issuing.hold()
    world.issuing.refuse(Reason.CREDENTIAL_REFUSED, "invalid_scope")
    waiting = [world.start() for _ in range(3)]
    await settle()
    world.issuing.release()
    got = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(one) for one in got} == {"credential_refused: invalid_scope"}
    assert len({id(one) for one in got}) == 3
    assert world.issuing.begun == 1


async def test_one_who_leaves_takes_nothing_from_the_others(world: World) -> None:
    world.issuing.hold()
    first, second = world.start(), world.start()
    await settle()
    first.cancel()
    await settle()
    world.issuing.release()
    assert (await second) is world.cache.ready("a")
    assert first.cancelled()


async def test_when_all_leave_the_asking_ends(world: World) -> None:
    world.issuing.hold()
    waiting = [world.start() for _ in range(3)]
    await settle()
    for one in waiting:
        one.cancel()
    await settle()
    assert world.issuing.cancelled == 1
    assert world.issuing.under_way == 0
    world.issuing.release()
    await world.obtain()
    assert world.issuing.begun == 2


async def test_what_nobody_waits_for_any_more_is_not_kept_even_if_it_comes(world: World) -> None:
    world.issuing.hold()
    world.issuing.stubborn = True
    waiting = world.start()
    await settle()
    waiting.cancel()
    await settle()
    world.issuing.release()
    await settle()
    assert world.cache.ready("a") is None


@pytest.mark.parametrize(("draw", "early"), [(0.0, 75.0), (0.5, 70.0), (1.0, 65.0)])
async def test_it_is_renewed_at_three_quarters_of_its_life_less_some_chance(
    world: World, draw: float, early: float
) -> None:
    world.draw = draw
    old = await world.obtain()
    world.clock.now += early - 0.1
    assert world.cache.ready("a") is old
    await settle()
    assert world.issuing.begun == 1
    world.clock.now += 0.2
    assert world.cache.ready("a") is old
    await settle()
    assert world.issuing.begun == 2
    new = world.cache.ready("a")
    assert new is not old
    assert new is not None
    assert world.counted == [("a", "miss"), ("a", "refresh")]


async def test_a_renewal_is_begun_once_however_many_ask(world: World) -> None:
    old = await world.obtain()
    world.issuing.hold()
    world.clock.now += 80
    for _ in range(100):
        assert world.cache.ready("a") is old
        await settle()
    assert world.issuing.under_way == 1
    world.issuing.release()


async def test_who_finds_the_old_one_expired_waits_for_its_renewal(world: World) -> None:
    await world.obtain()
    world.issuing.hold()
    world.clock.now += 80
    world.cache.ready("a")
    await settle()
    world.clock.now += 20
    waiting = world.start()
    await settle()
    world.issuing.release()
    assert await waiting is world.cache.ready("a")
    assert world.issuing.begun == 2


async def test_a_renewal_goes_on_without_those_who_wait_for_it(world: World) -> None:
    await world.obtain()
    world.issuing.hold()
    world.clock.now += 80
    world.cache.ready("a")
    world.clock.now += 16
    waiting = world.start()
    await settle()
    waiting.cancel()
    await settle()
    assert world.issuing.cancelled == 0
    world.issuing.release()
    await settle()
    assert world.cache.ready("a") is not None


async def test_a_renewal_that_fails_hurts_nobody_and_is_tried_again_ever_later(world: World) -> None:
    old = await world.obtain()
    world.issuing.refuse(Reason.CREDENTIAL_UNAVAILABLE)
    world.clock.now += 75
    asked = []
    for _ in range(19):
        assert world.cache.ready("a") is old
        await settle()
        asked.append(world.issuing.begun - 1)
        world.clock.now += 1
    # After 1, 2, 4 and 8 seconds.
    assert asked == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5]
    assert world.cache.refusals == 0
    assert await world.obtain() is old
    world.issuing.accept()
    world.clock.now += 0.9
    assert world.cache.ready("a") is old
    world.clock.now += 1
    assert await world.obtain() is not old


@pytest.mark.filterwarnings("ignore")
async def test_a_renewal_that_breaks_is_not_begun_for_every_request(world: World) -> None:
    broken: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    await world.obtain()
    world.issuing.breaks = True
    world.clock.now += 75
    for _ in range(10):
        assert world.cache.ready("a") is not None
        await settle()
    assert len(broken) == 1


@pytest.mark.parametrize(
    ("reason", "seconds"),
    [
        (Reason.CREDENTIAL_REFUSED, [5, 5, 5, 5]),
        (Reason.CREDENTIAL_PLAIN_TEXT, [5, 5]),
        (Reason.CREDENTIAL_UNAVAILABLE, [1, 2, 4, 8, 16, 30, 30]),
        (Reason.CREDENTIAL_ANSWER_INVALID, [1, 2, 4]),
    ],
)
async def test_a_refusal_is_remembered(world: World, reason: Reason, seconds: list[float]) -> None:
    world.issuing.refuse(reason, "why")
    for number, wait in enumerate(seconds, 1):
        for _ in range(3):
            with pytest.raises(CredentialRefused, match="why") as refused:
                await world.obtain()
            assert refused.value.reason is reason
            assert refused.value.retry_after == pytest.approx(wait)
        assert world.issuing.begun == number
        world.clock.now += wait - 0.1
        with pytest.raises(CredentialRefused) as refused:
            await world.obtain()
        assert refused.value.retry_after == pytest.approx(0.1)
        assert world.issuing.begun == number
        world.clock.now += 0.2
    assert ("a", "negative") in world.counted


async def test_a_secret_that_is_missing_is_looked_for_again_at_once(world: World) -> None:
    world.issuing.refuse(Reason.CREDENTIAL_SECRET_MISSING, "why")
    with pytest.raises(CredentialRefused) as refused:
        await world.obtain()
    assert refused.value.retry_after is None
    assert world.cache.refusals == 0
    world.issuing.accept()
    assert await world.obtain()


@pytest.mark.parametrize(("said", "waits"), [(20.0, 20.0), (0.5, 1.0), (86_400.0, 300.0)])
async def test_a_server_that_says_when_to_come_again_is_heeded_within_reason(
    world: World, said: float, waits: float
) -> None:
    world.issuing.refuse(Reason.CREDENTIAL_UNAVAILABLE, retry_after=said)
    with pytest.raises(CredentialRefused):
        await world.obtain()
    world.issuing.accept()
    world.clock.now += waits - 0.1
    with pytest.raises(CredentialRefused):
        await world.obtain()
    world.clock.now += 0.2
    assert await world.obtain()


async def test_a_success_ends_the_count_of_failures(world: World) -> None:
    world.issuing.refuse(Reason.CREDENTIAL_UNAVAILABLE)
    for _ in range(3):
        with pytest.raises(CredentialRefused):
            await world.obtain()
        world.clock.now += 10
    world.issuing.accept()
    world.cache.forget("a", await world.obtain())
    world.issuing.refuse(Reason.CREDENTIAL_UNAVAILABLE)
    with pytest.raises(CredentialRefused) as refused:
        await world.obtain()
    with pytest.raises(CredentialRefused) as refused:
        await world.obtain()
    assert refused.value.retry_after == pytest.approx(1.0)


async def test_the_least_recently_used_gives_way(world: World) -> None:
    for number in range(8):
        await world.obtain(str(number))
    assert world.cache.ready("0") is not None
    await world.obtain("8")
    assert len(world.cache) == 8
    assert world.cache.ready("0") is not None
    assert world.cache.ready("1") is None


async def test_refusals_are_bounded_too_and_cost_no_credential_its_place(world: World) -> None:
    kept = await world.obtain("kept")
    world.issuing.refuse(Reason.CREDENTIAL_REFUSED)
    for number in range(100):
        with pytest.raises(CredentialRefused):
            await world.obtain(str(number))
    assert world.cache.refusals == 8
    assert world.cache.ready("kept") is kept


async def test_nothing_is_kept_beyond_the_users_token(world: World) -> None:
    issued = await world.obtain(until=world.clock.now + 30)
    world.clock.now += 24.9
    assert world.cache.ready("a") is issued
    world.clock.now += 0.2
    assert world.cache.ready("a") is None
    await settle()
    assert world.issuing.begun == 1, "a new one would have lived no longer"


async def test_what_ends_with_the_users_token_at_once_is_given_and_not_kept(world: World) -> None:
    assert await world.obtain(until=world.clock.now + 3)
    assert len(world.cache) == 0


async def test_a_token_of_the_user_that_expires_meanwhile_ends_in_a_refusal(world: World) -> None:
    world.issuing.hold()
    waiting = asyncio.create_task(world.obtain(until=world.clock.now + 3))
    await settle()
    world.clock.now += 4
    world.issuing.release()
    with pytest.raises(CredentialRefused, match="expired meanwhile"):
        await waiting


async def test_what_was_expired_when_it_came_is_an_invalid_answer(world: World) -> None:
    world.issuing.life = -60.0
    with pytest.raises(CredentialRefused, match="60 seconds ago; compare the clocks") as refused:
        await world.obtain()
    assert refused.value.reason is Reason.CREDENTIAL_ANSWER_INVALID


async def test_only_the_same_one_is_forgotten(world: World) -> None:
    old = await world.obtain()
    assert world.cache.forget("a", old)
    new = await world.obtain()
    assert new is not old
    assert not world.cache.forget("a", old)
    assert world.cache.ready("a") is new
    assert not world.cache.forget("b", new)


async def test_what_is_asked_for_when_its_key_goes_is_given_and_not_kept(world: World) -> None:
    world.issuing.hold()
    waiting = world.start()
    await settle()
    world.cache.forget_where(lambda key: key == "a")
    world.issuing.release()
    assert await waiting
    assert world.cache.ready("a") is None
    assert len(world.cache) == 0


async def test_a_refusal_of_a_key_that_is_gone_is_not_remembered(world: World) -> None:
    world.issuing.refuse(Reason.CREDENTIAL_REFUSED)
    with pytest.raises(CredentialRefused):
        await world.obtain()
    world.cache.forget_where(lambda key: True)
    assert world.cache.refusals == 0
    world.issuing.hold()
    waiting = world.start()
    await settle()
    world.cache.forget_where(lambda key: True)
    world.issuing.release()
    with pytest.raises(CredentialRefused):
        await waiting
    assert world.cache.refusals == 0


async def test_what_has_expired_leaves_the_memory_without_being_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = Timers(monkeypatch)
    await world.obtain("a", until=world.clock.now + 30)
    await world.obtain("b")
    world.clock.now += 61
    timers.fire()
    assert len(world.cache) == 1
    world.clock.now += 60
    timers.fire()
    assert len(world.cache) == 0
    assert timers.pending == [], "until there is something again"
    await world.obtain("c")
    assert len(timers.pending) == 1


async def test_nothing_secret_is_in_any_text(world: World) -> None:
    issued = await world.obtain()
    secret = issued.secrets[0].decode()
    seen = [one for one in gc.get_objects() if str(type(one).__module__).startswith("sidecar.credentials")]
    assert issued in seen
    assert secret not in repr(seen)
    assert secret not in repr(world.cache.__dict__)
