"""How many may be at the door at once, and how often one may come."""

from __future__ import annotations

import contextlib

import pytest

from mesh.identity.issuance import Refusal
from tests.support.ca import WallClock
from tests.support.control_stream import proven
from webhook.distribution.handshakes import BURST, Handshakes
from webhook.identity.callers import CallRefused


def refusal(handshakes: Handshakes, caller: str) -> CallRefused:
    with pytest.raises(CallRefused) as raised, handshakes.room(caller):
        pass
    return raised.value


def test_one_caller_leaves_room_for_the_others() -> None:
    handshakes = Handshakes(6, 4, WallClock().seconds)
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(handshakes.room("evil"))
        refused = refusal(handshakes, "evil")
        assert (refused.refusal, refused.retry_after) == (Refusal.RATE_LIMITED, 2)
        stack.enter_context(handshakes.room("a"))
        stack.enter_context(handshakes.room("b"))
        assert refusal(handshakes, "c").refusal is Refusal.UNAVAILABLE
    with handshakes.room("evil"), handshakes.room("c"):
        pass


def test_one_caller_comes_only_so_often() -> None:
    clock = WallClock()
    handshakes = Handshakes(512, 4, clock.seconds)
    for _ in range(BURST):
        with handshakes.room("evil"):
            pass
    refused = refusal(handshakes, "evil")
    assert (refused.refusal, refused.retry_after) == (Refusal.RATE_LIMITED, 1)
    clock.move(1)
    with handshakes.room("evil"), handshakes.room("another"):
        pass


def test_pods_are_told_apart_by_token_or_by_certificate_and_address() -> None:
    by_token = proven(pod="triage-1", uid="u1")
    assert (
        by_token.at("10.0.0.1") == by_token.at("10.0.0.2") != proven(pod="triage-2", uid="u2").at("10.0.0.1")
    )
    assert proven().at("10.0.0.1") != proven().at("10.0.0.2")
