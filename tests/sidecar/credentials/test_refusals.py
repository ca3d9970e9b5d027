"""How long a no is believed, and how often it was said."""

from __future__ import annotations

import pytest

from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.refusals import Refusals
from tests.support.credentials import Clock

DOWN = CredentialRefused(Reason.CREDENTIAL_UNAVAILABLE, "down")
NO = CredentialRefused(Reason.CREDENTIAL_REFUSED, "no")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> Refusals[str]:
    return Refusals(3, clock)


@pytest.mark.parametrize(
    ("refused", "failures", "seconds"),
    [
        (DOWN, 1, 1.0),
        (DOWN, 5, 16.0),
        (DOWN, 6, 30.0),
        (DOWN, 10_000, 30.0),
        (NO, 1, 5.0),
        (NO, 100, 5.0),
        (CredentialRefused(Reason.CREDENTIAL_REFUSED, "no", 60.0), 1, 60.0),
        (CredentialRefused(Reason.CREDENTIAL_UNAVAILABLE, "down", 1e9), 1, 300.0),
        (CredentialRefused(Reason.CREDENTIAL_UNAVAILABLE, "down", -5.0), 1, 1.0),
    ],
)
def test_a_no_counts_for_a_while(
    refusals: Refusals[str], refused: CredentialRefused, failures: int, seconds: float
) -> None:
    assert refusals.wait(refused, failures) == seconds


def test_one_that_is_over_still_counts_how_often(refusals: Refusals[str], clock: Clock) -> None:
    refusals.remember("a", DOWN)
    clock.now += 1
    assert refusals.find("a") is None
    refusals.remember("a", DOWN)
    found = refusals.find("a")
    assert found is not None
    assert found is not DOWN
    assert (found.reason, found.detail, found.retry_after) == (DOWN.reason, "down", 2.0)


def test_they_are_bounded_and_the_oldest_gives_way(refusals: Refusals[str]) -> None:
    for key in "abac":
        refusals.remember(key, NO)
    refusals.remember("d", NO)
    assert len(refusals) == 3
    assert refusals.find("b") is None
    assert refusals.find("a") is not None


def test_a_success_and_a_key_that_is_gone_forget(refusals: Refusals[str]) -> None:
    for key in "abc":
        refusals.remember(key, NO)
    refusals.forget("a")
    refusals.forget("unknown")
    refusals.forget_where(lambda key: key == "b")
    assert [refusals.find(key) is None for key in "abc"] == [True, True, False]
