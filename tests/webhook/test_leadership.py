"""Who writes: an election without clock or network, on Leases as documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from webhook.cluster.failures import ApiFailed
from webhook.leadership import Election, Terms

TERMS = Terms(lease=15, renew_within=10.0, every=2.0)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def sent(document: Any) -> bytes:
    return json.dumps(document).encode()


def election(name: str) -> Election:
    return Election(name, TERMS)


def won(one: Election, now: float) -> dict[str, Any]:
    bid = one.bid(now, NOON)
    assert bid is not None
    one.won(sent(bid), now)
    return bid


@pytest.mark.parametrize("empty", [{}, {"spec": {}}, {"spec": None}, {"spec": {"holderIdentity": ""}}])
def test_a_lease_that_nobody_holds_is_taken_at_once(empty) -> None:
    one = election("one")
    one.observe(sent({"metadata": {"resourceVersion": "7"}, **empty}), 0.0)
    bid = won(one, 0.0)
    assert one.leading(0.0)
    assert bid["metadata"]["resourceVersion"] == "7"
    assert bid["spec"] == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-03-01T12:00:00.000000Z",
        "renewTime": "2026-03-01T12:00:00.000000Z",
        "leaseTransitions": 1,
    }


def test_a_renewal_keeps_the_time_of_acquisition() -> None:
    one = election("one")
    one.observe(b"{}", 0.0)
    won(one, 0.0)
    renewed = one.bid(2.0, NOON.replace(hour=13))
    assert renewed is not None
    assert renewed["spec"]["acquireTime"].startswith("2026-03-01T12")
    assert renewed["spec"]["renewTime"].startswith("2026-03-01T13")
    assert renewed["spec"]["leaseTransitions"] == 1


def test_whoever_cannot_renew_stops_writing_before_another_takes_over() -> None:
    one, two = election("one"), election("two")
    one.observe(b"{}", 0.0)
    lease = sent(won(one, 0.0))
    two.observe(lease, 0.5)
    assert one.leading(9.9)
    assert not one.leading(10.0)
    for now in (2.0, 10.0, 15.4):
        two.observe(lease, now)
        assert two.bid(now, NOON) is None
    two.observe(lease, 15.5)
    assert two.bid(15.5, NOON)["spec"]["leaseTransitions"] == 2  # type: ignore[index]


def test_the_clocks_of_others_do_not_count() -> None:
    """A holder whose clock is hours off renews, and that is what is seen."""
    one, two = election("one"), election("two")
    one.observe(b"{}", 0.0)
    won(one, 0.0)
    for round_ in range(20):
        now = 2.0 * round_
        renewed = one.bid(now, NOON.replace(hour=1, minute=round_))
        assert renewed is not None
        one.won(sent(renewed), now)
        two.observe(sent(renewed), now + 100_000)
        assert two.bid(now + 100_000, NOON) is None


def test_whoever_sees_another_as_holder_does_not_lead() -> None:
    one = election("one")
    one.observe(b"{}", 0.0)
    won(one, 0.0)
    one.observe(sent({"spec": {"holderIdentity": "two", "leaseDurationSeconds": 15}}), 1.0)
    assert not one.leading(1.0)
    assert one.bid(1.0, NOON) is None
    assert one.resignation() is None


def test_a_resignation_lets_anybody_take_over_at_once() -> None:
    one, two = election("one"), election("two")
    one.observe(b"{}", 0.0)
    won(one, 0.0)
    given_up = one.resignation()
    assert not one.leading(0.0)
    two.observe(sent(given_up), 0.1)
    assert two.bid(0.1, NOON) is not None


@pytest.mark.parametrize(
    "lease", [b"", b"[]", b"null", b'{"spec": 3}', b'{"spec": {"leaseDurationSeconds": "x"}}']
)
def test_what_is_no_lease_is_a_failure_and_no_crash(lease) -> None:
    with pytest.raises(ApiFailed):
        election("one").observe(lease, 0.0)


@pytest.mark.parametrize("terms", [(15, 10.0, 10.0), (10, 10.0, 2.0), (15, 10.0, 0.0)])
def test_terms_by_which_two_could_write_are_refused(terms) -> None:
    with pytest.raises(ValueError, match="renewed more often"):
        Terms(*terms)
