"""What access policies decide, for an agent that no AgentPolicy selects: they decide alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mesh.policy import AuthProtocol, Decision, HttpRequest, RequestContext
from mesh.policy.facts import ANY_ARGUMENTS
from mesh.reasons import Reason
from tests.support.access_policies import (
    CONTEXT,
    SOURCE,
    Asked,
    Object,
    agent_policy,
    allow,
    ask,
    backend,
    cel,
    inline,
)

Asking = Callable[..., Asked]

# Request (method, subject) -> which of the words of an authorization match it. `base` is the base protocol.
MAPPING = [
    ("initialize", None, {"base"}),
    ("ping", None, {"base"}),
    ("server/discover", None, {"base"}),
    ("subscriptions/listen", None, {"base"}),
    ("notifications/initialized", None, {"base"}),
    ("notifications/cancelled", None, {"base"}),
    ("completion/complete", None, {"base"}),
    ("logging/setLevel", None, {"base"}),
    ("tools/list", None, {"base", "tools/list", "tools"}),
    ("tools/call", "echo", {"tools/call", "tools", "tools/call=echo"}),
    ("tools/call", "other", {"tools/call", "tools"}),
    ("prompts/list", None, {"prompts/list", "prompts"}),
    ("prompts/get", "echo", {"prompts/get", "prompts", "prompts/get=echo"}),
    ("prompts/get", "other", {"prompts/get", "prompts"}),
    ("resources/list", None, {"resources/list", "resources"}),
    ("resources/templates/list", None, {"resources/templates/list", "resources"}),
    ("resources/read", "echo", {"resources/read", "resources"}),
    ("resources/subscribe", "echo", {"resources/subscribe", "resources"}),
    ("resources/unsubscribe", "echo", {"resources/unsubscribe", "resources"}),
    ("tasks/get", None, set()),
    ("tasks/result", None, set()),
    ("roots/list", None, set()),
    ("elicitation/create", None, set()),
    ("sampling/createMessage", None, set()),
    ("toolsmith/x", None, set()),
    ("acme/unknown", None, set()),
]
WORDS = [
    "base",
    *("tools", "prompts", "resources"),
    *("prompts/list", "tools/list", "resources/list", "resources/templates/list"),
    *("prompts/get", "tools/call", "resources/subscribe", "resources/unsubscribe", "resources/read"),
    *("tools/call=echo", "prompts/get=echo", "resources/read=echo", "resources/subscribe=echo"),
]


def said(word: str) -> Any:
    """An authorization that says one word."""
    if word == "base":
        return inline(base=True)
    method, _, param = word.partition("=")
    return inline((method, [param]) if param else method)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(("method", "name", "words"), MAPPING)
def test_requests_are_matched_by_the_words_of_the_table(
    asked: Asking, word: str, method: str, name: str | None, words: set[str]
) -> None:
    assert asked(allow("a", said(word))).decide(method, name).allowed is (word in words)


@pytest.mark.parametrize(("method", "name", "words"), MAPPING)
@pytest.mark.parametrize("authorization", [None, {"type": "Inline"}, inline()])
def test_a_rule_without_mcp_restriction_matches_everything(
    asked: Asking, method: str, name: str | None, words: set[str], authorization: Any
) -> None:
    one = asked(allow("a", authorization))
    assert one.decide(method, name).allowed
    assert one.decide("http", http=HttpRequest("PUT", "/x")).allowed


def test_a_policy_without_rules_matches_everything_beside_others_too(asked: Asking) -> None:
    one = asked(allow("a"), allow("b", inline("tools/list")))
    assert one.call("anything")
    assert one.decide("tasks/get").allowed


@pytest.mark.parametrize(
    ("http", "headers", "allowed"),
    [
        ("GET", {}, True),
        ("DELETE", {"mcp-session-id": "1"}, True),
        ("DELETE", {}, False),
        ("DELETE", None, False),
        ("PUT", {"mcp-session-id": "1"}, False),
    ],
)
def test_streams_and_the_end_of_sessions_are_the_base_protocols(
    asked: Asking, http: str, headers: Any, allowed: bool
) -> None:
    context = RequestContext(http, headers=headers)
    request = HttpRequest(http, "/mcp")
    one = asked(allow("a", inline(base=True)))
    assert one.decide("http", http=request, context=context).allowed is allowed
    skipping = asked(allow("a", inline("tools/list")))
    assert not skipping.decide("http", http=request, context=context).allowed


def test_who_grants_is_named_and_so_is_who_does_not(asked: Asking) -> None:
    one = asked(allow("readers", inline("tools/list"), inline(("tools/call", ["echo"]), base=True)))
    assert one.decide("tools/call", "echo") == Decision(
        True, Reason.ALLOWED, "XAccessPolicy/tools/readers r1"
    )
    assert one.decide("initialize").reason == Reason.ALLOWED_BASE_PROTOCOL
    refused = one.decide("tools/call", "get-sum")
    assert (refused.reason, refused.rule) == (
        Reason.ACCESS_POLICY_NOT_GRANTED,
        "XAccessPolicy/tools/readers",
    )


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        (None, True),
        ({}, True),
        ({"type": "SPIFFE", "spiffe": SOURCE}, True),
        ({"type": "SPIFFE", "spiffe": SOURCE + "x"}, False),
        ({"type": "SPIFFE", "spiffe": "spiffe://other/ns/agents/sa/triage"}, False),
        ({"type": "ServiceAccount", "serviceAccount": {"name": "triage", "namespace": "agents"}}, True),
        ({"type": "ServiceAccount", "serviceAccount": {"name": "triage"}}, False),
        ({"type": "ServiceAccount", "serviceAccount": {"name": "other", "namespace": "agents"}}, False),
    ],
)
def test_a_rule_is_for_its_source(asked: Asking, source: Any, allowed: bool) -> None:
    assert asked(allow("a", inline("tools/call"), source=source)).call("echo") is allowed


def test_a_service_account_without_a_namespace_is_one_of_the_policys(asked: Asking) -> None:
    account = {"type": "ServiceAccount", "serviceAccount": {"name": "x"}}
    one = asked(allow("a", None, source=account), principal="spiffe://cluster.local/ns/tools/sa/x")
    assert one.call("echo")


# HTTP fields, each with a request that has them and one that has not.


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"methods": ["POST", "PUT"]}, {"method": "GET"}),
        ({"hosts": ["github.tools.svc", "x.y"]}, {"host": "other.tools.svc"}),
        ({"hosts": ["*.tools.svc"]}, {"host": "tools.svc"}),
        ({"hosts": ["*.svc"]}, {"host": "github.tools.svc.evil"}),
        ({"ports": [1, 8080]}, {"port": 8081}),
        ({"paths": [{"value": "/mcp"}]}, {"path": "/mcpx"}),
        ({"paths": [{"value": "/mcp/"}]}, {"path": "/mcpx?/mcp/"}),
        (
            {"paths": [{"type": "Exact", "value": "/x"}, {"type": "Exact", "value": "/mcp"}]},
            {"path": "/mcp/a"},
        ),
        ({"paths": [{"type": "RegularExpression", "value": "/m[a-c]p"}]}, {"path": "/mdp"}),
        ({"paths": [{"type": "RegularExpression", "value": "/mcp"}]}, {"path": "/mcp/a"}),
        ({"headers": [{"name": "X-Tenant", "value": "a"}]}, {"headers": {"x-tenant": "A"}}),
        ({"headers": [{"name": "x-tenant", "value": "a"}]}, {"headers": {"x-other": "a"}}),
        (
            {"headers": [{"name": "x-tenant", "type": "RegularExpression", "value": "[ab]"}]},
            {"headers": {"x-tenant": "ab"}},
        ),
        (
            {"headers": [{"name": "x-tenant", "value": "a"}, {"name": "accept", "value": "x"}]},
            {"headers": {"x-tenant": "a", "accept": "y"}},
        ),
    ],
)
@pytest.mark.parametrize("kind", ["inline", "cel", "alone"])
def test_http_fields_narrow_rules_of_every_kind(
    asked: Asking, fields: Any, changes: dict[str, Any], kind: str
) -> None:
    made = {
        "inline": inline("tools/call", **fields),
        "cel": cel("request.mcp.tool_name == 'echo'", **fields),
        "alone": {"type": "Inline", **fields},
    }[kind]
    one = asked(allow("a", made))
    known = (
        CONTEXT
        if len(fields.get("headers", ())) < 2
        else replace(CONTEXT, headers={"x-tenant": "a", "accept": "x"})
    )
    assert one.call("echo", context=known)
    assert not one.call("echo", context=replace(known, **changes))
    assert not one.call("echo", context=replace(known, **dict.fromkeys(changes)))
    assert not one.call("echo", context=None)
    assert one.policy.needs_context


def test_plain_requests_bring_their_method_and_path(asked: Asking) -> None:
    one = asked(allow("a", {"type": "Inline", "methods": ["PUT"], "paths": [{"value": "/files"}]}))
    assert one.decide("http", http=HttpRequest("PUT", "/files/a"), context=None).allowed
    assert not one.decide("http", http=HttpRequest("PUT", "/x"), context=None).allowed
    assert not one.decide("http", http=HttpRequest("POST", "/files/a"), context=None).allowed


def test_an_empty_prefix_is_every_path(asked: Asking) -> None:
    assert asked(allow("a", {"type": "Inline", "paths": [{}]})).call("echo")


# Expressions.


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("request.mcp.tool_name == 'get-sum'", True),
        ("request.mcp.tool_name.startsWith('get-')", True),
        ("request.mcp.tool_name.contains('sum')", True),
        ("request.mcp.tool_name.matches('^get-[a-z]+$')", True),
        ("request.mcp.tool_name in ['echo', 'add']", False),
        ("request.time.getFullYear() >= 2026", True),
        ("request.time.getFullYear() < 2026", False),
        ("request.headers['x-tenant'] == 'a'", True),
        ("request.headers['x-missing'] == 'a'", False),
        ("'x-missing' in request.headers || request.method == 'POST'", True),
        ("request.path == '/mcp?tenant=a' && request.url_path == '/mcp'", True),
        ("request.host == 'github.tools.svc'", True),
        ("request.mcp.arguments.a == 2", True),
        ("request.mcp.arguments.b == 2", False),
        ("source.spiffe_id.contains('/ns/agents/')", True),
        ("true", True),
        ("false", False),
    ],
)
def test_an_expression_grants_calls_for_which_it_holds(asked: Asking, expression: str, allowed: bool) -> None:
    one = asked(allow("a", cel(expression)))
    assert one.call("get-sum", {"a": 2}) is allowed
    assert one.call("get-sum", {"a": 2}) is allowed
    assert not one.decide("prompts/get", "get-sum").allowed
    assert not one.decide("initialize").allowed
    assert not one.decide("tools/list").allowed


def test_rules_with_expressions_are_a_union(asked: Asking) -> None:
    one = asked(
        allow(
            "a",
            cel("request.mcp.tool_name == 'x'"),
            cel("request.headers['x-tenant'] == 'a'"),
            inline(base=True),
        )
    )
    assert one.call("y")
    assert not one.call("y", context=replace(CONTEXT, headers={"x-tenant": "b"}))
    assert one.call("x", context=None)
    assert one.decide("initialize").allowed


def test_an_expression_stands_beside_what_the_rule_says_of_mcp(asked: Asking) -> None:
    option = "MATCH_BASE_PROTOCOL_METHODS"
    based = asked(allow("a", cel("false", mcp={"mcpBaseProtocolMethodsOption": option})))
    assert based.decide("initialize").allowed
    assert not based.call("echo")
    named = asked(allow("a", cel("true", mcp={"methods": [{"name": "tools/call", "params": ["echo"]}]})))
    assert named.call("echo")
    assert not named.call("other")


def test_an_expression_that_depends_on_nothing_else_is_asked_once(asked: Asking) -> None:
    one = asked(allow("a", cel("request.mcp.tool_name.startsWith('get-')")))
    assert one.call("get-sum", context=None)
    assert not one.policy._conditional
    assert not one.policy.needs_context


def test_a_list_shows_what_some_arguments_may_call(asked: Asking) -> None:
    one = asked(allow("a", cel("request.mcp.arguments.a == 2 && request.mcp.tool_name == 'x'")))
    assert not one.call("x", {"a": 3})
    assert not one.call("x")
    assert one.decide("tools/call", "x", ANY_ARGUMENTS).allowed
    assert one.policy.shows(one.principal, one.github, "tools/call", "x", CONTEXT).allowed


def test_an_invalid_expression_grants_nothing_and_closes_its_target(asked: Asking) -> None:
    one = asked(allow("a", cel("request.nonsense"), None))
    assert not one.call("echo")
    beside = asked(allow("a", cel("request.nonsense")), allow("b", inline("tools/call")))
    assert beside.call("echo")


def test_the_message_of_an_expression_is_told(asked: Asking) -> None:
    authorization = {"type": "CEL", "cel": {"expression": "request.host == 'x'", "message": "only for x"}}
    assert asked(allow("a", authorization)).decide("tools/call", "echo").message == "only for x"


# Levels and targets.


def test_policies_of_one_target_are_a_union(asked: Asking) -> None:
    one = asked(allow("a", inline(("tools/call", ["x"]))), allow("b", inline(("tools/call", ["y"]))))
    assert one.call("x")
    assert one.call("y")
    assert not one.call("z")


def test_with_combine_all_every_policy_has_to_grant(asked: Asking) -> None:
    documents = (
        allow("a", inline(("tools/call", ["x", "both"]))),
        allow("b", inline(("tools/call", ["y"])), inline(("tools/call", ["both"]))),
    )
    one = asked(*documents, combine="all")
    assert [one.call(tool) for tool in ("x", "y", "both")] == [False, False, True]
    rejected = asked(*documents, allow("c", cel("nonsense")), combine="all")
    assert not rejected.call("both")


def test_equal_names_of_rules_do_not_overwrite_each_other(asked: Asking) -> None:
    one = asked(
        allow("a", inline(("tools/call", ["x"]))), allow("b", inline(("tools/call", ["y"]))), allow("c", None)
    )
    assert one.call("x")
    assert one.call("y")
    assert one.call("z")


def test_gateway_and_backend_both_have_to_grant(asked: Asking) -> None:
    one = asked(
        allow("gw", inline(("tools/call", ["echo", "both"])), kind="Gateway", target="gw"),
        allow("be", inline(("tools/call", ["get-sum", "both"]))),
    )
    assert [one.call(tool) for tool in ("echo", "get-sum", "both")] == [False, False, True]
    assert one.decide("tools/call", "get-sum").rule == "XAccessPolicy/tools/gw"


def test_a_gateway_is_about_every_backend_of_its_namespace_and_of_no_other(asked: Asking) -> None:
    gateway = allow("gw", inline(("tools/call", ["x"])), kind="Gateway", target="gw")
    one = asked(gateway, backend(), backend("jira"), backend("mine", "agents"))
    jira = one.policy.route("jira.tools.svc", 8080, "/mcp").backend
    mine = one.policy.route("mine.agents.svc", 8080, "/mcp").backend
    assert jira is not None
    assert mine is not None
    assert one.policy.decide(one.principal, jira, "tools/call", "x").allowed
    assert one.policy.decide(one.principal, mine, "tools/call", "x").reason == Reason.BACKEND_NOT_GRANTED


def test_a_policy_about_something_else_says_nothing(asked: Asking) -> None:
    one = asked(allow("a", None, target="jira"), allow("b", None, kind="Service", target="github"))
    assert one.decide("tools/call", "x").reason == Reason.BACKEND_NOT_GRANTED


def test_without_any_policy_everything_is_closed(asked: Asking) -> None:
    assert not asked(backend()).call("echo")


@pytest.mark.parametrize("group", ["agentic.networking.x-k8s.io", "gateway.networking.x-k8s.io"])
def test_a_backend_made_from_an_xbackend_is_what_policies_of_that_are_about(
    asked: Asking, group: str
) -> None:
    made = backend("made-up")
    made["metadata"]["annotations"] = {"outrider.dev/origin": f"XBackend.{group}/tools/gh"}
    policy = allow("a", inline(("tools/call", ["x"])), kind="XBackend", target="gh")
    policy["spec"]["targetRefs"][0]["group"] = group
    one = asked(policy, made)
    found = one.policy.route("made-up.tools.svc", 8080, "/mcp").backend
    assert found is not None
    assert one.policy.decide(one.principal, found, "tools/call", "x").allowed
    assert not one.policy.decide(one.principal, found, "tools/call", "y").allowed


@pytest.mark.parametrize(
    "origin", ["XBackend.g/other/gh", "XBackend.g/gh", "XBackend.", "x", "XBackend.g/tools/"]
)
def test_an_origin_that_is_none_does_not_count(asked: Asking, origin: str) -> None:
    made = backend()
    made["metadata"]["annotations"] = {"outrider.dev/origin": origin}
    assert asked(allow("a", None), made).call("x")


# AgentPolicies beside access policies.

GRANT = agent_policy(
    {"outbound": [{"backend": "tools/github", "tools": {"allow": ["get-*"], "deny": ["get-env"]}}]}
)


def test_the_agents_policy_and_the_targets_both_have_to_grant(asked: Asking) -> None:
    one = asked(GRANT, allow("a", inline(("tools/call", ["get-sum", "get-env", "echo"]))))
    assert one.call("get-sum")
    assert one.decide("tools/call", "get-env").reason == Reason.TOOL_DENIED
    assert one.decide("tools/call", "echo").reason == Reason.TOOL_NOT_GRANTED
    assert one.decide("tools/call", "get-x").reason == Reason.ACCESS_POLICY_NOT_GRANTED
    assert one.decide("tools/call", "get-sum").rule == "AgentPolicy/triage outbound[0] tools.allow[0]"


def test_without_an_access_policy_the_agents_decides_alone(asked: Asking) -> None:
    one = asked(GRANT)
    assert one.call("get-sum")
    assert not one.call("echo")


def test_an_agents_policy_that_says_nothing_of_the_destination_refuses(asked: Asking) -> None:
    other = agent_policy({"outbound": [{"backend": "*", "tools": {"allow": ["*"]}}]})
    one = asked(other, allow("a", None), backend(namespace="agents", host="github.tools.svc"), backend())
    assert one.github.namespace == "agents"
    assert one.call("echo")
    assert one.policy.backends == (one.github,)


def test_observing_does_not_open_what_an_access_policy_closes(asked: Asking) -> None:
    observing = agent_policy({"mode": "observe", "outbound": [{"backend": "tools/github"}]})
    one = asked(observing, allow("a", inline(("tools/call", ["x"]))))
    assert one.decide("tools/call", "x").observed
    assert not one.call("y")


# External authorization.


def test_a_request_that_a_rule_matches_waits_for_the_service(asked: Asking) -> None:
    one = asked(allow("a", None), ask("gate", inline("tools/call")))
    (check,) = one.decide("tools/call", "x").checks
    assert (check.name, check.protocol, check.port) == ("XAccessPolicy/tools/gate", AuthProtocol.GRPC, 50051)
    assert check.host == "authz.tools.svc.cluster.local"
    assert one.decide("initialize").checks == ()


def test_an_authorization_without_rules_is_asked_about_everything(asked: Asking) -> None:
    one = asked(allow("a", None), ask("gate"))
    assert len(one.decide("initialize").checks) == 1
    assert len(one.decide("tools/call", "x").checks) == 1


def test_what_is_refused_is_not_asked_about(asked: Asking) -> None:
    one = asked(allow("a", inline("tools/list")), ask("gate"))
    assert one.decide("tools/call", "x").checks == ()
    assert not one.call("x")


def test_an_authorization_alone_grants_nothing(asked: Asking) -> None:
    assert not asked(ask("gate")).call("x")
    assert asked(ask("gate"), GRANT).decide("tools/call", "get-sum").checks


@pytest.mark.parametrize(
    "authorization",
    [
        inline("tools/call", hosts=["github.tools.svc"]),
        inline("tools/call", headers=[{"name": "x-tenant", "value": "a"}]),
        cel("request.headers['x-missing'] == 'a'"),
        cel("request.mcp.arguments.nothing == 1"),
        cel("request.time.getFullYear() > 2000"),
    ],
)
def test_what_cannot_be_told_not_to_need_an_authorization_is_asked_about(
    asked: Asking, authorization: Any
) -> None:
    one = asked(allow("a", None), ask("gate", authorization))
    assert one.decide("tools/call", "x", context=None).checks
    assert one.decide("tools/call", "x", context=None).allowed


def test_a_condition_that_does_not_hold_asks_nobody(asked: Asking) -> None:
    one = asked(allow("a", None), ask("gate", inline("tools/call", hosts=["other.svc"])))
    assert one.decide("tools/call", "x").checks == ()


def test_a_source_without_a_trust_domain_is_asked_about_whoever_it_is(asked: Asking) -> None:
    gate = ask("gate", inline("tools/call"))
    gate["spec"]["rules"][0]["source"] = {"type": "ServiceAccount", "serviceAccount": {"name": "x"}}
    assert not asked(allow("a", None), gate).decide("tools/call", "x").checks
    from mesh.policy import compile_policy, load_objects

    policy = compile_policy(load_objects([allow("a", None), gate, backend()]), labels={}, namespace="agents")
    target = policy.route("github.tools.svc", 8080, "/mcp").backend
    assert target is not None
    assert policy.decide(asked().principal, target, "tools/call", "x").checks


def test_an_authorization_with_an_invalid_expression_closes_its_target(asked: Asking) -> None:
    one = asked(allow("a", None), ask("gate", cel("nonsense")))
    assert one.decide("tools/call", "x").rule == "XAccessPolicy/tools/gate"
    assert not one.call("x")


def test_each_level_may_ask_its_own_gateways_first(asked: Asking) -> None:
    one = asked(allow("a", None), ask("be"), ask("gw", kind="Gateway", target="gw"))
    assert [c.name for c in one.decide("ping").checks] == ["XAccessPolicy/tools/gw", "XAccessPolicy/tools/be"]


# What lists say, and what may be kept.


@pytest.mark.parametrize(
    ("objects", "total"),
    [
        ((allow("a", None),), True),
        ((allow("a", inline("tools")),), True),
        ((allow("a", inline("tools/call")),), True),
        ((allow("a", inline(("tools/call", ["x"]))),), False),
        ((allow("a", inline("tools/call", hosts=["x.y"])),), False),
        ((allow("a", cel("true")),), False),
        ((allow("a", None), ask("gate", inline("prompts/get"))), False),
        ((allow("a", None), allow("gw", inline("prompts"), kind="Gateway")), False),
        ((allow("a", cel("nonsense"), None),), False),
    ],
)
def test_a_list_is_whole_for_sure_only_if_nothing_depends_on_anything(
    asked: Asking, objects: Any, total: bool
) -> None:
    one = asked(*objects)
    assert one.policy.total(one.principal, one.github, "tool") is total


def test_time_is_the_requests(asked: Asking) -> None:
    one = asked(allow("a", cel("request.time < timestamp('2027-01-01T00:00:00Z')")))
    assert one.call("x")
    assert not one.call("x", context=replace(CONTEXT, time=datetime(2028, 1, 1, tzinfo=UTC)))


FAILING = [
    ('request.mcp.tool_name.split("_")[1] == "write"', "admin"),
    ('!request.mcp.tool_name.matches("^(safe_)[a-z]*$")', "x" * 1_000_000),
]


@pytest.mark.parametrize(("expression", "tool"), FAILING)
def test_an_expression_over_the_tool_that_has_no_answer_is_asked_about_and_grants_nothing(
    asked: Asking, expression: str, tool: str
) -> None:
    one = asked(allow("a", None), ask("gate", cel(expression)), backend())
    for _ in range(2):
        decision = one.decide("tools/call", tool)
        assert decision.allowed
        assert len(decision.checks) == 1
    assert not asked(allow("a", cel(expression)), backend()).call(tool)


def test_how_a_body_is_framed_is_not_told(asked: Asking) -> None:
    short = inline(headers=[{"name": "content-length", "value": "10"}])
    assert len(asked(allow("a", None), ask("gate", short), backend()).decide("tools/call", "x").checks) == 1
    assert not asked(allow("a", short), backend()).call("x")


EXACT = {"type": "Exact", "value": "/mcp/Admin"}
PREFIX = {"type": "PathPrefix", "value": "/mcp/caf%C3%A9"}
REGULAR = {"type": "RegularExpression", "value": "/MCP/a[a-z]*"}
SPELLINGS = [
    (inline(paths=[EXACT]), "/mcp/Admin/"),
    (inline(paths=[EXACT]), "/mcp/admin?x=1"),
    (inline(paths=[EXACT]), "/mcp;v=1/Admin;v=2"),
    (inline(paths=[PREFIX]), "/mcp/caf%c3%a9/x"),
    (inline(paths=[REGULAR]), "/mcp/admin"),
    (cel('request.url_path == "/mcp/admin"'), "/mcp/admin/"),
    (cel('request.path == "/mcp/admin?x=1"'), "/mcp/Admin;v=1?x=1"),
]


@pytest.mark.parametrize(("authorization", "path"), SPELLINGS)
def test_another_spelling_of_a_path_is_asked_about_and_grants_nothing(
    asked: Asking, authorization: Object, path: str
) -> None:
    context = replace(CONTEXT, path=path)
    one = asked(allow("a", None), ask("gate", authorization), backend())
    assert len(one.decide("tools/call", "x", context=context).checks) == 1
    elsewhere = replace(CONTEXT, path="/mcp/other")
    assert one.decide("tools/call", "x", context=elsewhere).checks == ()
    assert not asked(allow("a", authorization), backend()).call("x", context=context)


FIVE = [allow(f"p{age}", None, age=age) for age in range(2, 7)]


def test_an_authorization_without_a_place_closes_its_target(asked: Asking) -> None:
    one = asked(*FIVE, ask("gate", age=1), backend())
    refused = one.decide("tools/call", "x")
    assert (refused.allowed, refused.rule) == (False, "XAccessPolicy/tools/gate")
    assert not one.policy.total(one.principal, one.github, "tool")
    assert asked(*FIVE[1:], ask("gate", age=1), backend()).call("x")


def test_a_junior_authorization_closes_nothing(asked: Asking) -> None:
    one = asked(*FIVE[:3], ask("gate", age=9), ask("junior"), ask("least", inline("tools")), backend())
    decision = one.decide("tools/call", "x")
    assert decision.allowed
    assert [check.name for check in decision.checks] == ["XAccessPolicy/tools/gate"]
