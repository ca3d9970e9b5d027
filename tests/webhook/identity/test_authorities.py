from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.verify import verify_peer
from tests.support.ca import WallClock
from webhook.identity.authorities import InMemory, quick_times

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
WORKLOAD = SpiffeId("a.example", "/x")
TIMES = quick_times(timedelta(hours=8), timedelta(hours=1), timedelta(minutes=15))
AHEAD = TIMES.ahead.total_seconds()


def authorities() -> tuple[InMemory, WallClock]:
    clock = WallClock(START)
    keys = InMemory("a.example", clock, TIMES)
    keys.bundle()
    return keys, clock


def test_new_ones_are_published_before_they_sign_and_the_old_ones_after() -> None:
    keys, clock = authorities()
    (first,), jwt = keys.bundle().x509.authorities_der, keys.jwt_key
    keys.announce()
    second, again = keys.bundle().x509.authorities_der
    assert again == first
    assert len(keys.bundle().jwt_keys) == 2
    clock.move(AHEAD - 1)
    assert keys.jwt_key is jwt
    old = keys.signing
    clock.move(1)
    assert keys.signing is not old
    assert keys.jwt_key is not jwt
    assert keys.bundle().x509.authorities_der == (second, first)
    assert jwt.key_id in keys.bundle().jwt_keys
    clock.move((TIMES.svid + TIMES.margin).total_seconds())
    assert keys.bundle().x509.authorities_der == (second,)
    assert keys.bundle().jwt_keys.keys() == {keys.jwt_key.key_id}


def test_one_announcement_at_a_time() -> None:
    keys, _ = authorities()
    keys.announce()
    announced = keys.bundle()
    keys.announce()
    assert keys.bundle() == announced


def test_leaked_keys_are_replaced_at_once() -> None:
    keys, _ = authorities()
    first, (root,) = keys.signing, keys.bundle().x509.authorities_der
    keys.announce()
    keys.replace_now()
    assert len(keys.bundle().x509.authorities_der) == len(keys.bundle().jwt_keys) == 1
    assert root not in keys.bundle().x509.authorities_der
    assert keys.signing is not first


def test_the_sequence_grows_with_each_change_and_only_then() -> None:
    keys, clock = authorities()
    seen = [keys.bundle().sequence]
    assert keys.bundle().sequence == seen[0] == int(START.timestamp())
    for step in (keys.announce, keys.replace_now):
        step()
        seen.append(keys.bundle().sequence)
    clock.move(9 * 3600)
    seen.append(keys.bundle().sequence)
    assert seen == sorted(set(seen))


def test_times_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="eight times"):
        quick_times(timedelta(hours=4), timedelta(hours=1), timedelta(minutes=15))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 15 * 60), min_size=1, max_size=60))
def test_a_peer_with_the_bundle_of_one_refresh_ago_accepts_every_svid(steps: list[int]) -> None:
    keys, clock = authorities()
    clock.move(4 * 3600 - 30 * 60)
    for step in steps:
        before = keys.bundle()
        clock.move(step)
        svid = new_svid(keys.signing, WORKLOAD, clock(), TIMES.svid)
        assert verify_peer(svid.chain_der, {"a.example": before.x509}, clock()) == WORKLOAD
