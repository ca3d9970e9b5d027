from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mesh.policy import Policy, Principal
from mesh.policy.facts import ANY_ARGUMENTS
from mesh.reasons import Reason

ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")
Compiled = Callable[..., Policy]
Make = Callable[..., str]
ACME = "{tool: get_issue, require: \"args.owner == 'acme'\", message: only acme}"


def decided(policy: Policy, tool: str, arguments: Any) -> Any:
    target = policy.route("github.tools.svc", 8080, "/mcp").backend
    assert target is not None
    return policy.decide(ME, target, "tools/call", tool, arguments)


def outbound(rules: str, allow: str = "'*'", more: str = "") -> str:
    return f"{{{more} outbound: [{{backend: github, tools: {{allow: [{allow}]}}, arguments: [{rules}]}}]}}"


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ({"owner": "acme"}, True),
        ({"owner": "acme", "x": [1]}, True),
        ({"owner": "other"}, False),
        ({"owner": 1}, False),
        ({}, False),
        (None, False),
        ({"owner": {"x": "acme"}}, False),
    ],
)
def test_arguments_have_to_be_as_required(
    compiled: Compiled, backend: Make, agent_policy: Make, arguments: Any, allowed: bool
) -> None:
    policy = compiled(backend(), agent_policy(outbound(ACME)))
    decision = decided(policy, "get_issue", arguments)
    assert decision.allowed is allowed
    if not allowed:
        assert decision.reason == Reason.ARGUMENTS_REFUSED
        assert decision.rule == "AgentPolicy/triage outbound[0] arguments[0]"
        assert decision.message == "only acme"
    assert decided(policy, "other_tool", arguments).allowed


def test_every_rule_about_a_tool_has_to_hold(compiled: Compiled, backend: Make, agent_policy: Make) -> None:
    rules = f"{ACME}, {{tool: 'get_*', require: 'args.n < 5'}}"
    policy = compiled(backend(), agent_policy(outbound(rules)))
    assert decided(policy, "get_issue", {"owner": "acme", "n": 1}).allowed
    assert not decided(policy, "get_issue", {"owner": "acme", "n": 5}).allowed
    assert not decided(policy, "get_issue", {"owner": "x", "n": 1}).allowed
    assert decided(policy, "get_other", {"n": 1}).allowed


def test_rules_of_another_policy_count_as_its_deny_does(
    compiled: Compiled, backend: Make, agent_policy: Make
) -> None:
    narrow = outbound(ACME, allow="")
    wide = "{outbound: [{backend: github, tools: {allow: ['*']}}]}"
    policy = compiled(backend(), agent_policy(narrow, "narrow"), agent_policy(wide, "wide"))
    assert decided(policy, "get_issue", {"owner": "acme"}).allowed
    assert not decided(policy, "get_issue", {"owner": "x"}).allowed


def test_a_rule_grants_nothing(compiled: Compiled, backend: Make, agent_policy: Make) -> None:
    policy = compiled(backend(), agent_policy(outbound(ACME, allow="")))
    assert decided(policy, "get_issue", {"owner": "acme"}).reason == Reason.TOOL_NOT_GRANTED


def test_observing_records_and_lets_pass(compiled: Compiled, backend: Make, agent_policy: Make) -> None:
    policy = compiled(backend(), agent_policy(outbound(ACME, more="mode: observe,")))
    decision = decided(policy, "get_issue", {})
    assert (decision.allowed, decision.observed, decision.reason) == (True, True, Reason.ARGUMENTS_REFUSED)


def test_lists_leave_them_aside(compiled: Compiled, backend: Make, agent_policy: Make) -> None:
    policy = compiled(backend(), agent_policy(outbound(ACME)))
    target = policy.backends[0]
    assert decided(policy, "get_issue", ANY_ARGUMENTS).allowed
    assert policy.shows(ME, target, "tools/call", "get_issue").allowed
    assert not policy.total(ME, target, "tool")


def test_what_does_not_depend_on_arguments_is_remembered(
    compiled: Compiled, backend: Make, agent_policy: Make
) -> None:
    policy = compiled(backend(), agent_policy(outbound(ACME)))
    decided(policy, "get_issue", {})
    decided(policy, "other", {})
    assert [key[3] for key in policy._cache] == ["other"]
    assert [key[3] for key in policy._conditional] == ["get_issue"]


def test_callers_arguments_are_looked_at_too(compiled: Compiled, agent_policy: Make) -> None:
    policy = compiled(
        agent_policy(f"{{inbound: [{{from: ['*'], mcp: {{tools: {{allow: ['*']}}, arguments: [{ACME}]}}}}]}}")
    )
    place = policy.inbound("/mcp")
    assert policy.decide(ME, place, "tools/call", "get_issue", {"owner": "acme"}).allowed
    refused = policy.decide(ME, place, "tools/call", "get_issue", {"owner": "x"})
    assert refused.rule == "AgentPolicy/triage inbound[0] mcp arguments[0]"


def test_a_hostile_argument_is_refused_in_time(compiled: Compiled, backend: Make, agent_policy: Make) -> None:
    rule = "{tool: '*', require: 'args.l.all(x, args.l.all(y, x != y || x == y))'}"
    policy = compiled(backend(), agent_policy(outbound(rule)))
    assert decided(policy, "t", {"l": [1, 2]}).allowed
    assert not decided(policy, "t", {"l": list(range(100_000))}).allowed


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("{require: 'true'}", "tool"),
        ("{tool: x}", "require"),
        ("{tool: x, require: ''}", "require"),
        ("{tool: x, require: 'args.'}", "require"),
        ("{tool: x, require: '1 + 1'}", "require"),
        ("{tool: x, require: 'request.host == \"a\"'}", "require"),
        ("{tool: '**', require: 'true'}", "tool"),
        ("{tool: x, require: 'true', extra: 1}", "extra"),
        (f"{{tool: x, require: 'true', message: {'m' * 1025}}}", "message"),
    ],
)
def test_a_rule_that_is_none_is_a_fault(
    faults: Callable[..., list[str]], backend: Make, agent_policy: Make, rule: str, path: str
) -> None:
    (fault,) = faults(backend(), agent_policy(outbound(rule)))
    assert f"spec.outbound[0].arguments[0].{path}: " in fault
