from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mesh.identity.ca import make_authority
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.expiry import LONGEST_WAIT, ExpiryWatch
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.provider import Identity

NOW = datetime.now(UTC).replace(microsecond=0)
AUTHORITY = make_authority("a.example", NOW, timedelta(days=9))


def identity(**lifetime: float) -> Identity:
    svid = new_svid(AUTHORITY, SpiffeId("a.example", "/x"), NOW, timedelta(**lifetime))
    return Identity(svid, {"a.example": AUTHORITY.bundle})


class Scene:
    """A holder with a clock that the test sets, and the loop's timers, which the test lets run out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        self.timers: list[Any] = []
        self.ended: list[Identity] = []
        self.holder = IdentityHolder(clock=lambda: self.now)
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self._call_later)

    def watch(self) -> ExpiryWatch:
        return ExpiryWatch(self.holder, self.ended.append)

    def _call_later(self, seconds: float, callback: Any) -> Any:
        timer = Timer(seconds, callback)
        self.timers.append(timer)
        return timer

    def pass_time(self) -> float:
        """Let the one timer that is set run out; returns its seconds."""
        (timer,) = [timer for timer in self.timers if not timer.cancelled]
        self.now += timedelta(seconds=timer.seconds)
        timer.cancelled = True
        timer.callback()
        return timer.seconds


class Timer:
    def __init__(self, seconds: float, callback: Any) -> None:
        self.seconds, self.callback, self.cancelled = seconds, callback, False

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


async def test_the_end_of_an_svid_is_told_once_when_it_happens(scene: Scene) -> None:
    scene.watch()
    first = identity(seconds=30)
    scene.holder.publish(first)
    assert scene.ended == []
    assert scene.pass_time() == 30
    assert scene.ended == [first]
    assert all(timer.cancelled for timer in scene.timers)


async def test_a_renewal_in_time_is_no_end(scene: Scene) -> None:
    scene.watch()
    scene.holder.publish(identity(seconds=30))
    scene.now += timedelta(seconds=20)
    scene.holder.publish(identity(seconds=50))
    assert scene.pass_time() == 30
    assert len(scene.ended) == 1


async def test_a_long_life_is_looked_at_now_and_then_because_clocks_are_set(scene: Scene) -> None:
    scene.watch()
    scene.holder.publish(identity(days=1))
    assert scene.pass_time() == LONGEST_WAIT
    assert scene.ended == []
    scene.now += timedelta(days=2)
    scene.pass_time()
    assert len(scene.ended) == 1


async def test_an_identity_that_was_there_before_is_watched_too(scene: Scene) -> None:
    scene.holder.publish(identity(seconds=5))
    scene.watch()
    assert scene.pass_time() == 5
    assert len(scene.ended) == 1


async def test_an_identity_that_is_over_when_it_comes_is_told_at_once(scene: Scene) -> None:
    scene.watch()
    scene.now += timedelta(days=1)
    scene.holder.publish(identity(seconds=5))
    assert len(scene.ended) == 1
    assert scene.timers == []


async def test_who_stopped_hears_nothing(scene: Scene) -> None:
    watch = scene.watch()
    scene.holder.publish(identity(seconds=5))
    watch.stop()
    scene.holder.publish(identity(seconds=6))
    assert scene.ended == []
    assert all(timer.cancelled for timer in scene.timers)
