"""Shared windows: what is asked of the store, when one is asked no more, and the time that is told."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.guardrails import Rate
from mesh.settings.store_address import store_fault
from sidecar.rates.bucket import NANOSECONDS, NEVER
from sidecar.rates.circuit import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Circuit
from sidecar.rates.shared import Entry, Store, StoreUnavailable, Window, key_of, wait_for, window_of

ONE = Entry(("rule", "agent"), Rate(1, 60.0), 1)


class Windows:
    """A store in memory whose time stands still: `fault` is raised, or `hangs` for ever."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.fault: Exception | None = None
        self.hangs = False

    async def _trouble(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        await self._trouble()
        if self.counts.get(key, 0) + amount > limit:
            return False
        self.counts[key] = self.counts.get(key, 0) + amount
        return True

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        await self._trouble()
        return 0, 0.0, self.counts.get(key, 0), expiry * 2.0


async def reached(windows: Windows, told: list[tuple[bool, str]], seconds: float = 0.5) -> Store:
    """A store that has answered once."""
    store = Store(windows, timeout=seconds, failures=(RuntimeError,), told=lambda *what: told.append(what))
    assert not store.answers
    store.start()
    while not store.answers:
        await asyncio.sleep(0)
    return store


async def test_nothing_is_taken_of_one_where_another_has_no_room() -> None:
    windows = Windows()
    store = await reached(windows, [])
    other = Entry(("other",), Rate(5, 60.0), 1)
    assert await store.take([ONE, other]) == (0, -1)
    wait, index = await store.take([other, ONE])
    assert (wait > 0, index) == (True, 1)
    assert sorted(windows.counts.values()) == [1, 1]
    assert await store.take([ONE._replace(more=2)]) == (NEVER, 0)
    await store.close()


async def test_a_store_that_fails_is_asked_no_more_until_it_answers() -> None:
    windows, told = Windows(), list[tuple[bool, str]]()
    store = await reached(windows, told)
    windows.fault = RuntimeError("gone")
    for _ in range(FAILURES):
        assert store.answers
        with pytest.raises(StoreUnavailable):
            await store.take([ONE])
    assert not store.answers
    assert told == [(True, ""), (False, "gone")]
    windows.fault = None
    store.start()
    while not store.answers:
        await asyncio.sleep(0)
    assert await store.take([ONE]) == (0, -1)
    await store.close()


async def test_a_store_that_hangs_is_given_up_in_time() -> None:
    windows = Windows()
    store = await reached(windows, [], seconds=0.01)
    windows.hangs = True
    with pytest.raises(StoreUnavailable, match="no answer in time"):
        await store.take([ONE])
    await store.close()


def test_the_pauses_between_attempts_grow_to_the_longest() -> None:
    circuit = Circuit()
    pauses = [circuit.missed() for _ in range(10)]
    assert pauses[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert pauses[-1] == LONGEST_PAUSE
    circuit.answered()
    assert circuit.missed() == FIRST_PAUSE


@pytest.mark.parametrize(
    ("rate", "window"),
    [
        (Rate(60, 60.0), Window(60, 60)),
        (Rate(60, 60.0, 10), Window(10, 10)),
        (Rate(3600, 3600.0, 5), Window(5, 5)),
        (Rate(10, 1.0, 5), Window(10, 1)),
        (Rate(1, 3600.0), Window(1, 3600)),
        (Rate(7, 60.0, 3), Window(2, 25)),
    ],
)
def test_a_window_holds_one_burst(rate: Rate, window: Window) -> None:
    assert window_of(rate) == window


@given(st.integers(1, 10**6), st.sampled_from([1.0, 60.0, 3600.0]), st.integers(0, 10**6))
def test_a_window_lets_no_more_pass_than_the_rate(requests: int, seconds: float, burst: int) -> None:
    window = window_of(Rate(requests, seconds, burst))
    assert window.seconds >= 1
    assert window.limit == 1 or window.limit / window.seconds <= requests / seconds


def _has_room(window: Window, counts: tuple[int, float, int, float], after: float, count: int) -> bool:
    """What the store's script says so many seconds later."""
    before, before_ends, now, next_ends = counts
    before_ends, next_ends = before_ends - after, next_ends - after
    if next_ends < window.seconds:
        before, before_ends, now = now, next_ends, 0
    weighted = math.floor(before * max(0.0, before_ends) / window.seconds) + now
    return weighted + count <= window.limit


@given(st.integers(1, 50), st.integers(1, 100), st.integers(0, 50), st.integers(0, 50), st.floats(0.01, 0.99))
def test_the_time_that_is_told_is_the_first_with_room(
    limit: int, seconds: int, before: int, now: int, left: float
) -> None:
    window, now = Window(limit, seconds), min(now, limit)
    counts = (min(before, limit), left * seconds, now, (1 + left) * seconds)
    wait = wait_for(window, counts, 1)
    assert _has_room(window, counts, wait / NANOSECONDS + 1e-6, 1)
    assert wait == 0 or not _has_room(window, counts, wait / NANOSECONDS - 1e-4, 1)


def test_keys_hold_no_names_and_tell_names_apart() -> None:
    window = Window(1, 1)
    assert key_of(("a", "bc"), window) != key_of(("ab", "c"), window)
    assert key_of(("a\0b",), window) != key_of(("a", "b"), window)
    assert "alice" not in key_of(("alice",), window)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://redis.rates.svc:6379/0", None),
        ("rediss://[::1]:6379", None),
        ("redis://host", None),
        ("http://host", "is no store"),
        ("redis://host:99999", "no port"),
        ("redis://:secret@host", "holds a login"),
        ("redis://host/0?x=1", "is no store"),
    ],
)
def test_a_store_is_a_host_without_a_login(url: str, told: str | None) -> None:
    fault = store_fault(url)
    assert (fault is None) is (told is None)
    assert told is None or told in str(fault)
    assert "secret" not in str(fault)


def test_the_library_is_not_loaded_by_what_every_sidecar_loads() -> None:
    code = (
        "import sidecar.app, sidecar.proxy.rated, sidecar.rates.shared, sys; print('limits' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
