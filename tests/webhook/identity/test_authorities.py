from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.verify import verify_peer
from tests.support.ca import WallClock
from webhook.identity.authorities import Authorities, RotationTimes

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
WORKLOAD = SpiffeId("a.example", "/x")
TIMES = RotationTimes(timedelta(hours=8), timedelta(hours=1), timedelta(minutes=15))


def authorities() -> tuple[Authorities, WallClock]:
    clock = WallClock(START)
    return Authorities("a.example", clock, TIMES), clock


def test_a_new_authority_is_published_before_it_signs_and_the_old_one_after() -> None:
    keys, clock = authorities()
    first, jwt = keys.signing, keys.jwt_key
    clock.move(4 * 3600 - 15 * 60)
    keys.tick()
    assert keys.signing is first
    assert len(keys.bundle().x509.authorities_der) == len(keys.bundle().jwt_keys) == 2
    clock.move(15 * 60)
    keys.tick()
    assert keys.signing is not first
    assert keys.jwt_key is not jwt
    assert first.der in keys.bundle().x509.authorities_der
    assert jwt.key_id in keys.bundle().jwt_keys
    clock.move(3600)
    keys.tick()
    assert keys.bundle().x509.authorities_der == (keys.signing.der,)


def test_one_announcement_at_a_time() -> None:
    keys, _ = authorities()
    keys.announce()
    announced = keys.bundle()
    keys.announce()
    assert keys.bundle() == announced


def test_leaked_keys_are_replaced_at_once() -> None:
    keys, _ = authorities()
    first = keys.signing
    keys.announce()
    keys.replace_now()
    assert keys.bundle().x509.authorities_der == (keys.signing.der,)
    assert keys.signing is not first


def test_the_sequence_grows_with_each_change_and_only_then() -> None:
    keys, clock = authorities()
    seen = [keys.bundle().sequence]
    keys.tick()
    assert keys.bundle().sequence == seen[0] == int(START.timestamp())
    for step in (keys.announce, keys.replace_now):
        step()
        seen.append(keys.bundle().sequence)
    clock.move(9 * 3600)
    keys.tick()
    seen.append(keys.bundle().sequence)
    assert len(set(seen)) == len(seen)


def test_times_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="four times"):
        RotationTimes(timedelta(hours=4), timedelta(hours=1), timedelta(minutes=15))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 15 * 60), min_size=1, max_size=60))
def test_a_peer_with_the_bundle_of_one_refresh_ago_accepts_every_svid(steps: list[int]) -> None:
    keys, clock = authorities()
    clock.move(4 * 3600 - 30 * 60)
    for step in steps:
        keys.tick()
        before = keys.bundle()
        clock.move(step)
        keys.tick()
        svid = new_svid(keys.signing, WORKLOAD, clock(), TIMES.svid)
        assert verify_peer(svid.chain_der, {"a.example": before.x509}, clock()) == WORKLOAD
