from __future__ import annotations

import itertools

import pytest

from mesh.policy.ballot import refuse, settle, strongest
from mesh.policy.decision import Decision
from mesh.policy.rules import Verdict, Vote
from mesh.reasons import Reason

GRANT = Vote(Verdict.GRANT, Reason.ALLOWED, "grant")
DENY = Vote(Verdict.DENY, Reason.TOOL_DENIED, "deny")
SILENT = Vote(Verdict.SILENT, Reason.TOOL_NOT_GRANTED, "silent")
ENFORCE, OBSERVE = True, False

PASSES = {"allowed": (True, False), "observed": (True, True), "refused": (False, False)}


@pytest.mark.parametrize(
    ("votes", "outcome", "rule"),
    [
        ([(ENFORCE, GRANT)], "allowed", "grant"),
        ([(ENFORCE, DENY)], "refused", "deny"),
        ([(ENFORCE, SILENT)], "refused", "silent"),
        ([(OBSERVE, GRANT)], "allowed", "grant"),
        ([(OBSERVE, DENY)], "observed", "deny"),
        ([(OBSERVE, SILENT)], "observed", "silent"),
        # A deny of any enforcing policy wins.
        ([(ENFORCE, GRANT), (ENFORCE, DENY)], "refused", "deny"),
        ([(OBSERVE, GRANT), (ENFORCE, DENY)], "refused", "deny"),
        ([(OBSERVE, DENY), (ENFORCE, DENY)], "refused", "deny"),
        # Grants are a union, whatever the mode.
        ([(ENFORCE, GRANT), (ENFORCE, SILENT)], "allowed", "grant"),
        ([(OBSERVE, GRANT), (ENFORCE, SILENT)], "allowed", "grant"),
        ([(ENFORCE, GRANT), (OBSERVE, SILENT)], "allowed", "grant"),
        # Enforce beats observe: what an enforcing policy grants, an observing one cannot block, only note.
        ([(ENFORCE, GRANT), (OBSERVE, DENY)], "observed", "deny"),
        ([(OBSERVE, GRANT), (OBSERVE, DENY)], "observed", "deny"),
        ([(OBSERVE, GRANT), (OBSERVE, DENY), (ENFORCE, SILENT)], "observed", "deny"),
        # Without any grant, one enforcing policy that speaks is enough to block.
        ([(ENFORCE, SILENT), (OBSERVE, DENY)], "refused", "silent"),
        ([(ENFORCE, SILENT), (OBSERVE, SILENT)], "refused", "silent"),
        ([(OBSERVE, SILENT), (OBSERVE, DENY)], "observed", "deny"),
    ],
)
def test_votes_become_decisions_in_any_order(votes: list[tuple[bool, Vote]], outcome: str, rule: str) -> None:
    for order in itertools.permutations(votes):
        decision = settle(list(order))
        assert (decision.allowed, decision.observed) == PASSES[outcome]
        assert decision.rule == rule


def test_the_silence_that_came_closest_to_granting_is_named() -> None:
    peer = Vote(Verdict.SILENT, Reason.PEER_NOT_ALLOWED, "peer")
    path = Vote(Verdict.SILENT, Reason.INBOUND_PATH_NOT_DECLARED, "path")
    protocol = Vote(Verdict.SILENT, Reason.PROTOCOL_NOT_ALLOWED, "protocol")
    assert strongest([peer, protocol, SILENT]) is SILENT
    assert strongest([peer, path, protocol]) is protocol
    assert strongest([peer, path]) is path
    assert settle([(ENFORCE, peer), (ENFORCE, SILENT)]).rule == "silent"


def test_of_equal_votes_the_first_is_named() -> None:
    assert strongest([GRANT, Vote(Verdict.GRANT, Reason.ALLOWED, "second")]) is GRANT


def test_a_refusal_names_an_enforcing_policy() -> None:
    observing = Vote(Verdict.SILENT, Reason.TOOL_NOT_GRANTED, "observing")
    assert refuse([(OBSERVE, observing), (ENFORCE, SILENT)]) == Decision(
        False, Reason.TOOL_NOT_GRANTED, "silent"
    )
