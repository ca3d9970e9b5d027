from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from mesh.policy.decision import INBOUND, Decision, Inbound
from mesh.reasons import Reason


def test_a_decision_is_observed_only_when_it_says_so() -> None:
    assert Decision(True, Reason.ALLOWED, "x").observed is False


def test_a_decision_cannot_be_changed() -> None:
    decision = Decision(False, Reason.TOOL_DENIED, "x")
    with pytest.raises(FrozenInstanceError):
        decision.allowed = True  # type: ignore[misc]


def test_off_every_path_there_is_one_inbound() -> None:
    assert INBOUND.path is None


def test_an_inbound_is_itself_alone_so_that_hashing_it_costs_nothing() -> None:
    one, other = Inbound("/mcp"), Inbound("/mcp")
    assert one != other
    assert len({one, other, one}) == 2
