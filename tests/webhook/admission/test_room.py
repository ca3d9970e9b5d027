from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.admission.room import Guest, NoRoom, Room

Enter = Callable[..., Guest]


@pytest.fixture
def full() -> list[str]:
    return []


@pytest.fixture
def room(full) -> Room:
    return Room(4, 100, full.append)


@pytest.fixture
def enter(room):
    """Lets reviews in; `whole` are those whose body has arrived."""
    with contextlib.ExitStack() as stack:

        def make(peer: str, size: int = 0, *, whole: bool = False) -> Guest:
            guest = stack.enter_context(room.place(peer))
            room.grow(guest, size)
            guest.whole = whole
            return guest

        yield make


async def test_slow_bodies_of_a_crowd_make_room_for_others(room, enter, full) -> None:
    crowd = [enter("crowd") for _ in range(4)]
    others = [enter("api-server", whole=True), enter("api-server")]
    assert [guest.ended for guest in crowd] == [True, True, False, False]
    assert [guest.ended for guest in others] == [False, False]
    assert (len(room), full) == (4, ["requests", "requests"])


async def test_behind_one_address_slow_bodies_go_and_whole_ones_stay(enter) -> None:
    slow = [enter("gateway"), enter("gateway")]
    whole = [enter("gateway", whole=True) for _ in range(4)]
    assert [guest.ended for guest in slow] == [True, True]
    assert not any(guest.ended for guest in whole)
    with pytest.raises(NoRoom):
        enter("gateway")
    assert not any(guest.ended for guest in whole)


async def test_a_crowd_whose_bodies_have_arrived_makes_room_as_well(enter) -> None:
    crowd = [enter("crowd", whole=True) for _ in range(4)]
    assert not enter("api-server").ended
    assert [guest.ended for guest in crowd] == [True, False, False, False]


async def test_bytes_count_as_they_arrive_and_the_largest_of_the_crowd_goes(room, enter, full) -> None:
    crowd = [enter("crowd", 30), enter("crowd", 60)]
    small = enter("api-server", 9)
    assert full == []
    room.grow(small, 20)
    assert [guest.ended for guest in crowd] == [False, True]
    assert (room.taken, full, small.ended) == (59, ["bytes"], False)


async def test_who_is_the_crowd_ends_itself(room, enter) -> None:
    small = enter("api-server", 90, whole=True)
    greedy = [enter("crowd", 10)]
    with pytest.raises(NoRoom):
        enter("api-server", 20)
    assert not small.ended
    assert not greedy[0].ended


async def test_a_room_without_places_takes_nobody(full) -> None:
    with pytest.raises(NoRoom), Room(0, 0, full.append).place("a"):
        pass
    assert full == ["requests"]


async def test_room_is_given_back(room) -> None:
    with room.place("a") as guest:
        room.grow(guest, 50)
        assert (len(room), room.taken) == (1, 50)
    assert (len(room), room.taken) == (0, 0)


@pytest.mark.parametrize("seconds", [None, 30])
async def test_who_waits_hears_that_there_is_no_room_for_it_any_more(room, seconds) -> None:
    async def wait(guest: Guest) -> None:
        async with guest.within(seconds):
            guest.end()
            await asyncio.Event().wait()

    with room.place("a") as guest:
        with pytest.raises(NoRoom):
            await wait(guest)
        with pytest.raises(NoRoom):
            room.grow(guest, 1)


async def test_who_takes_too_long_hears_that(room) -> None:
    with room.place("a") as guest, pytest.raises(TimeoutError):
        async with guest.within(0.01):
            await asyncio.Event().wait()


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 120), st.booleans(), st.integers(0, 120)),
        max_size=40,
    )
)
def test_no_order_of_events_takes_more_room_than_there_is(events) -> None:
    room = Room(4, 100)

    async def run() -> None:
        with contextlib.ExitStack() as stack:
            for peer, size, whole, more in events:
                with contextlib.suppress(NoRoom):
                    guest = stack.enter_context(room.place(peer))
                    room.grow(guest, size)
                    guest.whole = whole
                    room.grow(guest, more)
                assert len(room) <= 4
                assert room.taken <= 100
        assert len(room) == 0

    asyncio.run(run())
