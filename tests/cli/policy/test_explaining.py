from __future__ import annotations

import json

import pytest


def explained(outrider, *arguments) -> dict:
    code, out, err = outrider("explain", *arguments, "-o", "json")
    assert code == 0, err
    return json.loads(out)


def test_a_decision_is_told_with_its_votes_and_what_to_change(outrider, manifests) -> None:
    found = explained(outrider, "agents/triage", "github", "delete_list", manifests)
    assert (found["allowed"], found["reason"]) == (False, "tool_denied")
    assert [vote["vote"] for vote in found["votes"]] == ["deny"]
    assert "take away AgentPolicy/triage outbound[0] tools.deny[0]" in found["advice"][0]


def test_text_shows_the_same(outrider, manifests) -> None:
    code, out, _ = outrider("explain", "agents/triage", "github", "get_issue", manifests)
    assert code == 0
    assert "tool get_issue: allowed" in out
    assert "To refuse it" in out


@pytest.mark.parametrize(
    ("tool", "reason", "words"),
    [
        ("merge", "tool_not_granted", 'add "merge" to tools.allow of AgentPolicy/triage outbound[0].'),
        ("list it", "name_outside_charset", "write the name out exactly"),
        ("get_issue", "allowed", 'add "get_issue" to tools.deny of AgentPolicy/triage outbound[0]'),
    ],
)
def test_advice_fits_the_reason(outrider, manifests, tool, reason, words) -> None:
    found = explained(outrider, "agents/triage", "github", tool, manifests)
    assert found["reason"] == reason
    assert words in " ".join(found["advice"])


def test_a_policy_that_does_not_select_says_what_is_lacking(outrider, policies) -> None:
    found = explained(outrider, "agents/other", "github", "get_issue", policies, "--labels", "app=other")
    assert found["reason"] == "backend_not_granted"
    assert "lacks app=triage" in found["votes"][0]["note"]
    assert "No AgentPolicy selects agents/other" in " ".join(found["advice"])


@pytest.mark.parametrize(
    ("caller", "allowed", "words"),
    [
        ("spiffe://cluster.local/ns/agents/sa/orchestrator", True, "tools.deny"),
        ("spiffe://cluster.local/ns/x/sa/y", False, "add the caller to `from`"),
    ],
)
def test_callers_are_explained_too(outrider, manifests, caller, allowed, words) -> None:
    found = explained(outrider, "agents/triage", "-", "ask", manifests, "--from", caller)
    assert found["allowed"] is allowed
    assert words in " ".join(found["advice"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("agents/nobody", "github", "x"), "there is no agent agents/nobody"),
        (("agents/triage", "gitlab", "x"), "sees no Backend gitlab; known to it: github"),
        (("agents/triage", "-", "x"), "write - for BACKEND with --from"),
        (("agents/triage", "github", "x", "--header", "a"), "'a' is not --header NAME=VALUE"),
    ],
)
def test_what_cannot_be_asked_is_told(outrider, manifests, arguments, words) -> None:
    code, _, err = outrider("explain", *arguments[:3], manifests, *arguments[3:])
    assert code == 2
    assert words in err


def test_a_refusal_can_be_the_exit_code(outrider, manifests) -> None:
    assert outrider("explain", "agents/triage", "github", "merge", manifests, "--fail-if-refused")[0] == 1
    assert outrider("explain", "agents/triage", "github", "get_issue", manifests, "--fail-if-refused")[0] == 0
