"""A document that is kept: fetched once for all, renewed in use, used on while its server is silent."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.credentials.refreshed import Lifetimes, Refreshed, Unavailable
from tests.support.fakes import Clock


class Source:
    """Counts, fails where it is told to, and can be held up."""

    def __init__(self) -> None:
        self.calls = 0
        self.down = False
        self.gate: asyncio.Event | None = None

    async def __call__(self) -> int:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise Unavailable("down")
        return self.calls


class Kept:
    def __init__(self) -> None:
        self.clock = Clock()
        self.source = Source()
        self.changed: list[int] = []
        self.document = Refreshed(
            self.source, self.clock, Lifetimes(600.0, 86400.0), name="x", changed=self.changed.append
        )


@pytest.fixture
def kept() -> Kept:
    return Kept()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_is_fetched_once_for_all_who_wait(kept: Kept) -> None:
    kept.source.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(kept.document.get()) for _ in range(1000)]
    await turns()
    kept.source.gate.set()
    assert set(await asyncio.gather(*waiting)) == {1}
    assert kept.changed == [1]


async def test_who_leaves_does_not_take_it_from_the_others(kept: Kept) -> None:
    kept.source.gate = asyncio.Event()
    first, second = (asyncio.ensure_future(kept.document.get()) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    kept.source.gate.set()
    assert await second == 1
    assert first.cancelled()


async def test_while_it_is_fresh_nothing_is_asked(kept: Kept) -> None:
    await kept.document.get()
    kept.clock.now += 599
    kept.document.refresh()
    assert await kept.document.get() == 1
    assert kept.source.calls == 1


async def test_a_little_older_it_is_given_at_once_and_renewed_meanwhile(kept: Kept) -> None:
    await kept.document.get()
    kept.clock.now += 600
    assert await kept.document.get() == 1
    await turns()
    assert await kept.document.get() == 2


async def test_much_older_it_is_waited_for(kept: Kept) -> None:
    await kept.document.get()
    kept.clock.now += 1200
    assert await kept.document.get() == 2


async def test_it_is_used_on_while_the_server_is_silent_and_not_for_ever(kept: Kept) -> None:
    await kept.document.get()
    kept.source.down = True
    kept.clock.now += 86399
    assert await kept.document.get() == 1
    kept.clock.now += 1
    with pytest.raises(Unavailable, match="down"):
        await kept.document.get()


async def test_a_silent_server_is_not_waited_for_by_each(kept: Kept) -> None:
    await kept.document.get()
    kept.source.down = True
    kept.clock.now += 5000
    await kept.document.get()
    kept.source.gate = asyncio.Event()
    kept.clock.now += 5000
    assert await asyncio.wait_for(kept.document.get(), 1) == 1
    kept.source.gate.set()


async def test_after_failures_it_is_left_alone_longer_and_longer(kept: Kept) -> None:
    kept.source.down = True
    pauses = []
    for _ in range(7):
        calls = kept.source.calls
        waited = 0
        while kept.source.calls == calls:
            with pytest.raises(Unavailable) as unavailable:
                await kept.document.get()
            assert unavailable.value.retry_after >= 1
            kept.clock.now += 1
            waited += 1
        pauses.append(waited)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


async def test_it_comes_back(kept: Kept) -> None:
    kept.source.down = True
    with pytest.raises(Unavailable):
        await kept.document.get()
    kept.source.down = False
    kept.clock.now += 2
    assert await kept.document.get() == 2


async def test_a_newer_one_is_had_once_in_a_while(kept: Kept) -> None:
    await kept.document.get()
    assert await kept.document.newer(10) == 1
    kept.clock.now += 10
    assert await kept.document.newer(10) == 2
    kept.clock.now += 9
    assert await kept.document.newer(10) == 2


async def test_a_newer_one_that_cannot_be_had_is_told(kept: Kept) -> None:
    await kept.document.get()
    kept.source.down = True
    kept.clock.now += 10
    with pytest.raises(Unavailable):
        await kept.document.newer(10)
    assert await kept.document.get() == 1


async def test_closing_ends_what_is_under_way(kept: Kept) -> None:
    kept.document.close()
    kept.source.gate = asyncio.Event()
    waiting = asyncio.ensure_future(kept.document.get())
    await turns()
    kept.document.close()
    with pytest.raises(Unavailable):
        await waiting
