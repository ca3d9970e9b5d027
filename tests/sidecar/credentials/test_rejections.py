"""A server that accepts no credential gets no endless supply of them."""

from __future__ import annotations

import pytest

from sidecar.credentials.issued import Issued
from sidecar.credentials.rejections import RENEW_SECONDS, Rejections
from tests.support.credentials import Clock

OLD, NEW, NEWER = (Issued([], (one,)) for one in (b"old", b"new", b"newer"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rejections(clock: Clock) -> Rejections[str]:
    return Rejections(3, clock)


def test_a_newer_one_is_not_renewed_before_the_time_is_over(
    rejections: Rejections[str], clock: Clock
) -> None:
    assert rejections.may_renew("a", OLD)
    assert rejections.may_renew("a", OLD), "another request with the same one"
    assert not rejections.may_renew("a", NEW)
    clock.now += RENEW_SECONDS
    assert rejections.may_renew("a", NEW)
    assert not rejections.may_renew("a", NEWER)


def test_keys_do_not_count_for_one_another(rejections: Rejections[str]) -> None:
    assert rejections.may_renew("a", OLD)
    assert rejections.may_renew("b", NEW)


def test_they_are_bounded_and_the_oldest_gives_way(rejections: Rejections[str]) -> None:
    for key in "abcd":
        assert rejections.may_renew(key, OLD)
    assert len(rejections) == 3
    assert not rejections.may_renew("d", NEW)
    assert rejections.may_renew("a", NEW)


def test_a_key_that_is_gone_is_forgotten(rejections: Rejections[str]) -> None:
    rejections.may_renew("a", OLD)
    rejections.forget_where(lambda key: key == "a")
    assert len(rejections) == 0
