"""Rules that grant on behalf of some users, and of tokens with some scopes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import HttpRequest, Policy, Principal
from mesh.policy.decide import MAX_CACHED
from mesh.policy.principal import User
from mesh.reasons import Reason

Make = Callable[..., str]
Compiled = Callable[..., Policy]
ID = "spiffe://td/ns/a/sa/me"
ALICE = User("https://i", "alice", frozenset({"r", "w"}))
READS = User("https://i", "alice", frozenset({"r"}))
BOB = User("https://i", "bob", frozenset({"r", "w"}))
NOBODY = None
RULE = "{backend: github, users: ['https://i#alice'], scopes: [w], tools: {allow: ['*'], deny: [drop]}}"
FOR_ALL = "{backend: github, tools: {allow: [drop, get]}}"


def asked(policy: Policy, user: User | None, tool: str) -> tuple[bool, Reason, str]:
    github = policy.backends[0]
    decision = policy.decide(Principal(ID, user), github, "tools/call", tool)
    return decision.allowed, decision.reason, decision.rule


@pytest.fixture
def policy(compiled: Compiled, backend: Make, agent_policy: Make) -> Policy:
    return compiled(backend(), agent_policy(f"{{outbound: [{RULE}, {FOR_ALL}]}}"))


def test_a_rule_grants_to_its_users_with_its_scopes_alone(policy: Policy) -> None:
    assert asked(policy, ALICE, "put") == (
        True,
        Reason.ALLOWED,
        "AgentPolicy/triage outbound[0] tools.allow[0]",
    )
    lacking = "AgentPolicy/triage outbound[0]"
    assert asked(policy, READS, "put") == (False, Reason.TOOL_NOT_GRANTED, f"{lacking} scopes")
    assert asked(policy, BOB, "put") == (False, Reason.TOOL_NOT_GRANTED, f"{lacking} users")
    assert asked(policy, NOBODY, "put") == (False, Reason.TOOL_NOT_GRANTED, f"{lacking} users")


@pytest.mark.parametrize("user", [ALICE, READS, BOB, NOBODY])
def test_what_it_denies_is_denied_to_everybody(policy: Policy, user: User | None) -> None:
    allowed, reason, rule = asked(policy, user, "drop")
    assert (allowed, reason, rule) == (
        False,
        Reason.TOOL_DENIED,
        "AgentPolicy/triage outbound[0] tools.deny[0]",
    )
    assert asked(policy, user, "get")[0]


def test_what_it_wants_of_arguments_is_wanted_of_everybody(
    compiled: Compiled, backend: Make, agent_policy: Make
) -> None:
    rule = "{backend: github, users: ['*#*'], arguments: [{tool: get, require: args.x == 1}]}"
    policy = compiled(backend(), agent_policy(f"{{outbound: [{rule}, {FOR_ALL}]}}"))
    for user in (ALICE, NOBODY):
        me, github = Principal(ID, user), policy.backends[0]
        assert policy.decide(me, github, "tools/call", "get", {"x": 1}).allowed
        assert policy.decide(me, github, "tools/call", "get", {"x": 2}).reason is Reason.ARGUMENTS_REFUSED


def test_what_servers_may_not_ask_they_may_not_ask_of_anybody(
    compiled: Compiled, backend: Make, agent_policy: Make
) -> None:
    rule = "{backend: github, users: ['*#*'], serverRequests: [roots]}"
    policy = compiled(backend(), agent_policy(f"{{outbound: [{rule}, {{backend: github}}]}}"))
    for user in (ALICE, NOBODY):
        me, github = Principal(ID, user), policy.backends[0]
        assert not policy.server_request(me, github, "sampling").allowed
        assert policy.server_request(me, github, "roots").allowed


def test_servers_ask_only_where_a_rule_counts(compiled: Compiled, backend: Make, agent_policy: Make) -> None:
    policy = compiled(backend(), agent_policy("{outbound: [{backend: github, users: ['*#*']}]}"))
    github = policy.backends[0]
    assert policy.server_request(Principal(ID, ALICE), github, "sampling").allowed
    refused = policy.server_request(Principal(ID), github, "sampling")
    assert (refused.allowed, refused.reason) == (False, Reason.SERVER_REQUEST_REFUSED)


def test_without_a_rule_that_counts_nothing_of_the_backend_is_granted(
    compiled: Compiled, backend: Make, agent_policy: Make
) -> None:
    policy = compiled(
        backend(), agent_policy("{outbound: [{backend: github, scopes: [r], unknownMethods: allow}]}")
    )
    github = policy.backends[0]
    stream = HttpRequest("GET", "/mcp")
    for user, allowed in ((READS, True), (NOBODY, False)):
        me = Principal(ID, user)
        assert policy.decide(me, github, "ping").allowed is allowed
        assert policy.decide(me, github, "x/y").allowed is allowed
        assert policy.decide(me, github, "http", http=stream).allowed is allowed
    assert policy.decide(Principal(ID), github, "ping").reason is Reason.USER_NOT_GRANTED
    assert policy.decide(Principal(ID), github, "x/y").reason is Reason.UNKNOWN_METHOD


def test_a_backend_that_speaks_http_is_for_some_users_too(
    compiled: Compiled, backend: Make, agent_policy: Make
) -> None:
    spec = "{protocol: HTTP, host: web.svc, port: 80, tls: {mode: None}}"
    policy = compiled(backend("web", spec), agent_policy("{outbound: [{backend: web, users: ['*#alice']}]}"))
    web, request = policy.backends[0], HttpRequest("GET", "/")
    assert policy.decide(Principal(ID, ALICE), web, "http", http=request).allowed
    refused = policy.decide(Principal(ID, BOB), web, "http", http=request)
    assert (refused.allowed, refused.reason) == (False, Reason.USER_NOT_GRANTED)
    assert policy.total(Principal(ID, ALICE), web, "tool")
    assert not policy.total(Principal(ID, BOB), web, "tool")


def test_an_enforcing_policy_refuses_those_to_whom_its_rules_do_not_grant(
    compiled: Compiled, backend: Make, agent_policy: Make
) -> None:
    strict = agent_policy(
        "{outbound: [{backend: github, users: ['*#alice'], tools: {allow: [get]}}]}", "strict"
    )
    lenient = agent_policy("{mode: observe, outbound: [{backend: github}]}", "lenient")
    policy = compiled(backend(), strict, lenient)
    assert [asked(policy, user, "put")[0] for user in (ALICE, BOB, NOBODY)] == [False] * 3


def test_inbound_a_rule_is_for_some_users_of_a_peer(compiled: Compiled, agent_policy: Make) -> None:
    rules = (
        "{from: ['*'], scopes: [r], mcp: {tools: {allow: [get]}}}, "
        "{from: ['*'], users: ['https://i#alice'], http: {allow: true}}"
    )
    policy = compiled(agent_policy(f"{{inbound: [{rules}]}}"))
    target, page = policy.inbound("/mcp"), HttpRequest("GET", "/x")
    assert policy.decide(Principal(ID, BOB), target, "tools/call", "get").allowed
    assert not policy.decide(Principal(ID), target, "tools/call", "get").allowed
    for place in (target, policy.inbound("/other")):
        assert policy.decide(Principal(ID, ALICE), place, "http", http=page).allowed
        refused = policy.decide(Principal(ID, BOB), place, "http", http=page)
        assert (refused.reason, refused.rule) == (
            Reason.USER_NOT_GRANTED,
            "AgentPolicy/triage inbound[1] users",
        )


def test_a_peer_may_connect_before_it_has_said_on_whose_behalf(
    compiled: Compiled, agent_policy: Make
) -> None:
    rule = f"{{from: ['{ID}'], users: ['*#alice'], mcp: {{}}}}"
    policy = compiled(agent_policy(f"{{inbound: [{rule}]}}"))
    assert policy.meet(Principal(ID)).allowed
    assert not policy.meet(Principal("spiffe://td/ns/a/sa/other", ALICE)).allowed


def test_total_is_of_this_user(compiled: Compiled, backend: Make, agent_policy: Make) -> None:
    rule = "{backend: github, users: ['*#alice'], tools: {allow: ['*']}}"
    policy = compiled(backend(), agent_policy(f"{{outbound: [{rule}]}}"))
    github = policy.backends[0]
    assert policy.total(Principal(ID, ALICE), github, "tool")
    assert not policy.total(Principal(ID, BOB), github, "tool")
    assert not policy.total(Principal(ID), github, "tool")


def test_of_many_rules_those_for_others_do_not_hide_what_is_granted(
    compiled: Compiled, backend: Make, agent_policy: Make
) -> None:
    theirs = ", ".join(f"{{backend: github, users: ['*#u{n}'], tools: {{allow: [t{n}]}}}}" for n in range(20))
    policy = compiled(backend(), agent_policy(f"{{outbound: [{theirs}, {FOR_ALL}]}}"))
    github = policy.backends[0]
    assert policy.decide(Principal(ID), github, "ping").allowed
    assert policy.decide(Principal(ID, User("https://i", "u7")), github, "tools/call", "t7").allowed
    assert not policy.decide(Principal(ID, User("https://i", "u7")), github, "tools/call", "t8").allowed
    assert asked(policy, NOBODY, "get")[0]


def test_users_of_whom_rules_think_alike_share_what_is_remembered(policy: Policy) -> None:
    for number in range(3 * MAX_CACHED):
        assert not asked(policy, User("https://i", f"user{number}"), "put")[0]
    assert len(policy._cache) == 1


def test_where_no_rule_asks_about_users_they_are_not_looked_at(
    compiled: Compiled, backend: Make, agent_policy: Make
) -> None:
    policy = compiled(backend(), agent_policy(f"{{outbound: [{FOR_ALL}]}}"))
    assert not policy.asks_about_users
    for user in (ALICE, BOB, NOBODY):
        assert asked(policy, user, "get")[0]
    assert [key[0] for key in policy._cache] == [ID]


def test_more_users_than_are_remembered_are_told_apart(policy: Policy) -> None:
    assert policy.asks_about_users
    for _ in range(2):
        assert asked(policy, ALICE, "put")[0]
        for number in range(5000):
            asked(policy, User("https://i", f"user{number}"), "put")
