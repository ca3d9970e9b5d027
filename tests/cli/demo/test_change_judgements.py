"""What the demo makes of a policy that changes: statements that hold for what should happen, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from cli.demo import change_judgements
from cli.demo.change_judgements import CHANGE_SECONDS, EVERYTHING, LESS, Change
from cli.demo.findings import Finding
from cli.demo.visits import Sight, Watched


def broken(findings: Iterable[Finding]) -> list[str]:
    return [finding.statement for finding in findings if not finding.holds]


OURS = {"source": "stream", "policies": ["AgentPolicy/triage"]}


@pytest.mark.parametrize(
    ("log", "holds"),
    [
        ([OURS], True),
        ([], False),
        ([{**OURS, "source": "saved"}], False),
        ([{**OURS, "policies": ["AgentPolicy/triage", "AgentPolicy/impostor"]}], False),
        ([OURS, {**OURS, "policies": []}], False),
    ],
)
def test_a_sidecar_has_its_own_policy_and_no_other(log: list[dict[str, object]], holds: bool) -> None:
    assert change_judgements.distributed({"triage": log}).holds is holds


def test_a_tool_that_goes_in_time() -> None:
    found = list(change_judgements.changed(EVERYTHING, Change(LESS, 0.3)))
    assert broken(found) == []
    assert found[1].evidence.startswith("0.30 s after the file was saved")
    assert change_judgements.restored(Change(EVERYTHING, 0.3)).holds


@pytest.mark.parametrize(
    ("before", "taken"),
    [
        (LESS, Change(LESS, 0.3)),
        (None, Change(LESS, 0.3)),
        (EVERYTHING, Change(EVERYTHING, 0.3)),
        (EVERYTHING, Change(None, 0.3)),
        (EVERYTHING, Change(Sight(LESS.tools, "wrote watched"), 0.3)),
        (EVERYTHING, Change(Sight(EVERYTHING.tools, LESS.outcome), 0.3)),
        (EVERYTHING, Change(LESS, CHANGE_SECONDS + 0.1)),
    ],
)
def test_a_tool_that_stays_or_goes_late_makes_a_statement_fail(before: Sight | None, taken: Change) -> None:
    assert broken(change_judgements.changed(before, taken))


def test_a_tool_that_does_not_come_back_makes_a_statement_fail() -> None:
    assert not change_judgements.restored(Change(LESS, 0.3)).holds


REFUSAL = {
    "object": "AgentPolicy agents/triage",
    "errors": ["tolls: unknown field"],
    "in_force": "last valid",
}


@pytest.mark.parametrize(
    ("refusal", "since", "failing"),
    [
        (REFUSAL, [LESS, LESS], 0),
        ({}, [LESS], 2),
        ({**REFUSAL, "errors": ["something else"]}, [LESS], 1),
        ({**REFUSAL, "in_force": "closed"}, [LESS], 1),
        (REFUSAL, [], 1),
        (REFUSAL, [LESS, EVERYTHING], 1),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(
    refusal: dict[str, object], since: Sequence[Sight], failing: int
) -> None:
    assert len(broken(change_judgements.mistaken(refusal, since))) == failing


WATCHED = Watched("2025-11-25", 30, None)


@pytest.mark.parametrize(
    ("watched", "starts", "versions", "holds"),
    [
        (WATCHED, {"triage": 1, "notes": 1}, ["a", "b", "a"], True),
        (Watched("2025-11-25", 30, "ConnectError()"), {"triage": 1}, ["a", "b", "a"], False),
        (WATCHED, {"triage": 2}, ["a", "b", "a"], False),
        (WATCHED, {"triage": 1}, ["a", "b"], False),
        (WATCHED, {"triage": 1}, ["a", "b", "c"], False),
        (WATCHED, {"triage": 1}, [], False),
    ],
)
def test_a_session_that_ends_or_a_sidecar_that_restarts_makes_a_statement_fail(
    watched: Watched, starts: Mapping[str, int], versions: Sequence[str], holds: bool
) -> None:
    assert (broken(change_judgements.undisturbed(watched, starts, versions)) == []) is holds
