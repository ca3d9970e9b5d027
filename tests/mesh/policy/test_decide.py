from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import INBOUND, UNAUTHENTICATED, Decision, HttpRequest, Policy, Principal
from mesh.policy.decide import MAX_CACHED, MAX_CACHED_NAME, NO_POLICY
from mesh.reasons import Reason

Make = Callable[..., str]
Compile = Callable[..., Policy]
ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")
PEER = Principal("spiffe://cluster.local/ns/agents/sa/orchestrator")

OUTBOUND = """
  outbound:
  - backend: github
    tools: {allow: [search_issues, "list_*", "odd name", "delete_draft"], deny: ["*delete*", "list_secrets"]}
    prompts: {allow: ["*"]}
    resources:
      allow: ["repo://acme/*", "repo://other/../exact"]
      deny: ["repo://acme/secret*"]
"""


@pytest.fixture
def policy(compiled: Compile, backend: Make, agent_policy: Make) -> Policy:
    return compiled(backend(), agent_policy(OUTBOUND))


def ask(policy: Policy, method: str, name: str | None = None) -> Decision:
    return policy.decide(ME, policy.backends[0], method, name)


@pytest.mark.parametrize(
    ("name", "reason", "rule"),
    [
        ("search_issues", Reason.ALLOWED, "tools.allow[0]"),
        ("list_issues", Reason.ALLOWED, "tools.allow[1]"),
        ("odd name", Reason.ALLOWED, "tools.allow[2]"),
        ("delete_draft", Reason.TOOL_DENIED, "tools.deny[0]"),
        ("list_secrets", Reason.TOOL_DENIED, "tools.deny[1]"),
        ("list_deleted", Reason.TOOL_DENIED, "tools.deny[0]"),
        ("create_issue", Reason.TOOL_NOT_GRANTED, "tools.allow"),
        ("Search_issues", Reason.TOOL_NOT_GRANTED, "tools.allow"),
        ("search_issues ", Reason.NAME_OUTSIDE_CHARSET, "tools.allow"),
        ("list_\u200bissues", Reason.NAME_OUTSIDE_CHARSET, "tools.allow"),
        ("list_" + "a" * 124, Reason.NAME_OUTSIDE_CHARSET, "tools.allow"),
        ("delete \u200b", Reason.TOOL_DENIED, "tools.deny[0]"),
        ("delete " * 1000, Reason.NAME_OUTSIDE_CHARSET, "tools.allow"),
        ("", Reason.NAME_OUTSIDE_CHARSET, "tools.allow"),
    ],
)
def test_a_tool_is_decided_by_exact_code_points(policy: Policy, name: str, reason: Reason, rule: str) -> None:
    assert ask(policy, "tools/call", name) == Decision(
        allowed=reason is Reason.ALLOWED, reason=reason, rule=f"AgentPolicy/triage outbound[0] {rule}"
    )


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("repo://acme/readme", Reason.ALLOWED),
        ("repo://acme/a/b.md", Reason.ALLOWED),
        ("repo://other/../exact", Reason.ALLOWED),
        ("repo://other/x", Reason.RESOURCE_NOT_GRANTED),
        ("repo://acme/secret/key", Reason.RESOURCE_DENIED),
        ("repo://acme/%73ecret/key", Reason.RESOURCE_DENIED),
        ("repo://acme//secret", Reason.RESOURCE_DENIED),
        ("repo://acme/../other/x", Reason.NAME_OUTSIDE_CHARSET),
        ("repo://acme/%2e%2e/other/x", Reason.NAME_OUTSIDE_CHARSET),
        ("repo://acme/..%2fother", Reason.NAME_OUTSIDE_CHARSET),
        ("repo://acme\\..\\other", Reason.NAME_OUTSIDE_CHARSET),
        ("repo://acme/\x00", Reason.NAME_OUTSIDE_CHARSET),
        ("repo://acme/" + "a" * 5000, Reason.NAME_OUTSIDE_CHARSET),
    ],
)
@pytest.mark.parametrize(
    "method", ["resources/read", "resources/subscribe", "resources/unsubscribe", "resources/templates/list"]
)
def test_a_resource_is_decided_by_every_reading_of_its_uri(
    policy: Policy, method: str, uri: str, reason: Reason
) -> None:
    decision = ask(policy, method, uri)
    assert (decision.allowed, decision.reason) == (reason is Reason.ALLOWED, reason)


def test_prompts_have_their_own_section(policy: Policy) -> None:
    assert ask(policy, "prompts/get", "summary").allowed
    assert ask(policy, "prompts/get", "summ ary").reason is Reason.NAME_OUTSIDE_CHARSET


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("tools/call", Reason.TOOL_NOT_GRANTED),
        ("prompts/get", Reason.PROMPT_NOT_GRANTED),
        ("resources/read", Reason.RESOURCE_NOT_GRANTED),
    ],
)
def test_an_absent_section_grants_nothing_of_its_kind(
    compiled: Compile, backend: Make, agent_policy: Make, method: str, reason: Reason
) -> None:
    policy = compiled(backend(), agent_policy("{outbound: [{backend: github}]}"))
    assert ask(policy, method, "x") == Decision(False, reason, "AgentPolicy/triage outbound[0]")
    assert ask(policy, "initialize").reason is Reason.ALLOWED_BASE_PROTOCOL


def test_a_subject_without_a_name_is_refused(policy: Policy) -> None:
    assert ask(policy, "tools/call").reason is Reason.TOOL_NOT_GRANTED
    assert ask(policy, "resources/templates/list").reason is Reason.ALLOWED_BASE_PROTOCOL


@pytest.mark.parametrize(
    "method", ["initialize", "ping", "tools/list", "notifications/cancelled", "tasks/get"]
)
def test_the_base_protocol_comes_with_any_grant(policy: Policy, method: str) -> None:
    assert ask(policy, method) == Decision(
        True, Reason.ALLOWED_BASE_PROTOCOL, "AgentPolicy/triage outbound[0]"
    )


@pytest.mark.parametrize("method", ["skills/put", "tools/Call", "sampling/createMessage", ""])
def test_unknown_methods_are_refused_unless_the_rule_lets_them_pass(
    compiled: Compile, backend: Make, agent_policy: Make, policy: Policy, method: str
) -> None:
    assert ask(policy, method) == Decision(False, Reason.UNKNOWN_METHOD, "AgentPolicy/triage outbound[0]")
    lenient = compiled(backend(), agent_policy("{outbound: [{backend: github, unknownMethods: allow}]}"))
    assert ask(lenient, method) == Decision(
        True, Reason.ALLOWED, "AgentPolicy/triage outbound[0] unknownMethods"
    )
    assert ask(lenient, "tools/call", "x").reason is Reason.TOOL_NOT_GRANTED


def test_a_backend_that_no_rule_names_is_not_granted(
    compiled: Compile, backend: Make, agent_policy: Make
) -> None:
    policy = compiled(backend(), agent_policy("{}"))
    assert ask(policy, "initialize") == Decision(
        False, Reason.BACKEND_NOT_GRANTED, "AgentPolicy/triage outbound"
    )


def test_without_any_policy_nothing_is_granted(compiled: Compile, backend: Make) -> None:
    policy = compiled(backend())
    assert ask(policy, "initialize") == Decision(False, Reason.BACKEND_NOT_GRANTED, NO_POLICY)
    assert policy.decide(PEER, policy.inbound("/mcp"), "initialize") == Decision(
        False, Reason.NO_INBOUND_RULE, NO_POLICY
    )
    assert policy.egress("x", 80) == Decision(False, Reason.EGRESS_DENIED, NO_POLICY)
    assert not policy.server_request(ME, policy.backends[0], "roots").allowed
    assert policy.policies == ()


def test_a_star_grants_every_backend(compiled: Compile, backend: Make, agent_policy: Make) -> None:
    other = "{protocol: MCP, host: other.svc, port: 80, tls: {mode: None}}"
    policy = compiled(
        backend(), backend("other", other), agent_policy("{outbound: [{backend: '*', tools: {allow: [a]}}]}")
    )
    for target in policy.backends:
        assert policy.decide(ME, target, "tools/call", "a").allowed


def test_rules_of_one_policy_add_up_and_deny_wins(
    compiled: Compile, backend: Make, agent_policy: Make
) -> None:
    spec = """{outbound: [{backend: github, tools: {allow: [a, b]}},
      {backend: '*', tools: {allow: [c], deny: [b]}}]}"""
    policy = compiled(backend(), agent_policy(spec))
    assert ask(policy, "tools/call", "a").allowed
    assert ask(policy, "tools/call", "c").allowed
    assert ask(policy, "tools/call", "b").rule == "AgentPolicy/triage outbound[1] tools.deny[0]"


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_a_granted_backend_without_mcp_takes_everything(
    compiled: Compile, backend: Make, agent_policy: Make, protocol: str
) -> None:
    spec = f"{{protocol: {protocol}, host: web.svc, port: 80, tls: {{mode: None}}}}"
    policy = compiled(backend("web", spec), agent_policy("{outbound: [{backend: web}]}"))
    assert ask(policy, "connect") == Decision(True, Reason.ALLOWED, "AgentPolicy/triage outbound[0]")
    assert policy.decide(ME, policy.backends[0], "http", http=HttpRequest("POST", "/x")).allowed
    assert policy.total(ME, policy.backends[0], "tool")


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("GET", Reason.ALLOWED_BASE_PROTOCOL),
        ("DELETE", Reason.ALLOWED_BASE_PROTOCOL),
        ("POST", Reason.PROTOCOL_NOT_ALLOWED),
        ("get", Reason.PROTOCOL_NOT_ALLOWED),
    ],
)
def test_an_mcp_backend_takes_no_http_but_that_of_its_transport(
    policy: Policy, method: str, reason: Reason
) -> None:
    decision = policy.decide(ME, policy.backends[0], "http", http=HttpRequest(method, "/mcp"))
    assert decision.reason is reason
    assert decision.allowed is (reason is Reason.ALLOWED_BASE_PROTOCOL)


INBOUND_SPEC = """
  inbound:
  - from: ["spiffe://cluster.local/ns/agents/sa/orchestrator"]
    mcp: {tools: {allow: [triage, "odd*"], deny: [odd_one]}}
  - from: ["spiffe://cluster.local/ns/*/sa/monitor"]
    http: {allow: true}
"""


@pytest.fixture
def server(compiled: Compile, agent_policy: Make) -> Policy:
    return compiled(agent_policy(INBOUND_SPEC))


@pytest.mark.parametrize(
    ("peer", "method", "name", "reason"),
    [
        (PEER, "tools/call", "triage", Reason.ALLOWED),
        (PEER, "tools/call", "odd_two", Reason.ALLOWED),
        (PEER, "tools/call", "odd_one", Reason.TOOL_DENIED),
        (PEER, "tools/call", "other", Reason.TOOL_NOT_GRANTED),
        (PEER, "tools/list", None, Reason.ALLOWED_BASE_PROTOCOL),
        (PEER, "x/y", None, Reason.UNKNOWN_METHOD),
        (
            Principal("spiffe://cluster.local/ns/x/sa/monitor"),
            "tools/call",
            "triage",
            Reason.PROTOCOL_NOT_ALLOWED,
        ),
        (Principal("spiffe://cluster.local/ns/x/sa/other"), "tools/call", "triage", Reason.PEER_NOT_ALLOWED),
        (Principal("spiffe://other/ns/agents/sa/orchestrator"), "ping", None, Reason.PEER_NOT_ALLOWED),
        (UNAUTHENTICATED, "ping", None, Reason.PEER_NOT_ALLOWED),
    ],
)
def test_callers_are_decided_by_their_identity(
    server: Policy, peer: Principal, method: str, name: str | None, reason: Reason
) -> None:
    decision = server.decide(peer, server.inbound("/mcp"), method, name)
    assert decision.reason is reason
    assert decision.allowed is (reason in (Reason.ALLOWED, Reason.ALLOWED_BASE_PROTOCOL))


def test_plain_http_inbound_needs_a_rule_of_its_own(server: Policy) -> None:
    request = HttpRequest("GET", "/healthz")
    monitor = Principal("spiffe://cluster.local/ns/x/sa/monitor")
    assert (
        server.decide(monitor, server.inbound("/mcp"), "http", http=request).rule
        == "AgentPolicy/triage inbound[1] http"
    )
    assert (
        server.decide(PEER, server.inbound("/mcp"), "http", http=request).reason
        is Reason.PROTOCOL_NOT_ALLOWED
    )
    assert server.decide(monitor, INBOUND, "http", http=request).allowed
    assert server.decide(PEER, INBOUND, "http", http=request).reason is Reason.INBOUND_PATH_NOT_DECLARED


TWO_SERVERS = f"""
  inbound:
  - from: ["{PEER.id}"]
    mcp: {{path: /a, tools: {{allow: ["*"], deny: [drop]}}}}
  - from: ["{PEER.id}"]
    mcp: {{path: /a/inner, tools: {{allow: [drop, inner]}}}}
  - from: ["{ME.id}"]
    mcp: {{path: /b, tools: {{allow: ["*"]}}}}
    http: {{allow: true}}
"""


@pytest.mark.parametrize(
    ("peer", "path", "name", "reason"),
    [
        (PEER, "/a", "inner", Reason.ALLOWED),
        (PEER, "/a", "drop", Reason.TOOL_DENIED),
        (PEER, "/a/inner/x", "inner", Reason.ALLOWED),
        (PEER, "/a/inner", "drop", Reason.TOOL_DENIED),
        (PEER, "/b", "inner", Reason.INBOUND_PATH_NOT_DECLARED),
        (PEER, "/", "inner", Reason.INBOUND_PATH_NOT_DECLARED),
        (PEER, "/mcp", "inner", Reason.INBOUND_PATH_NOT_DECLARED),
        (ME, "/b/x", "drop", Reason.ALLOWED),
        (ME, "/a", "inner", Reason.INBOUND_PATH_NOT_DECLARED),
        (ME, "/c", "inner", Reason.INBOUND_PATH_NOT_DECLARED),
        (UNAUTHENTICATED, "/a", "inner", Reason.PEER_NOT_ALLOWED),
    ],
)
def test_servers_at_different_paths_have_grants_of_their_own(
    compiled: Compile, agent_policy: Make, peer: Principal, path: str, name: str, reason: Reason
) -> None:
    policy = compiled(agent_policy(TWO_SERVERS))
    target = policy.inbound(path)
    for _ in range(2):
        assert policy.decide(peer, target, "tools/call", name).reason is reason
    assert policy.total(peer, target, "tool") is (peer is ME and path.startswith("/b"))
    granted = reason in (Reason.ALLOWED, Reason.TOOL_DENIED)
    assert policy.decide(peer, target, "ping").allowed is granted
    assert policy.server_request(peer, target, "sampling").allowed is granted


def test_a_path_that_only_observing_policies_refuse_is_recorded_and_passes(
    compiled: Compile, agent_policy: Make
) -> None:
    policy = compiled(agent_policy("{mode: observe, inbound: [{from: ['*'], mcp: {}}]}"))
    reason = Reason.INBOUND_PATH_NOT_DECLARED
    rule = "AgentPolicy/triage inbound[0]"
    assert policy.decide(PEER, policy.inbound("/x"), "ping") == Decision(True, reason, rule, observed=True)


def test_a_star_admits_authenticated_peers_only(compiled: Compile, agent_policy: Make) -> None:
    policy = compiled(agent_policy("{inbound: [{from: ['*'], mcp: {}}]}"))
    assert policy.decide(PEER, policy.inbound("/mcp"), "ping").allowed
    assert policy.decide(UNAUTHENTICATED, policy.inbound("/mcp"), "ping").reason is Reason.PEER_NOT_ALLOWED


def ping(policy: Policy) -> Decision:
    return policy.decide(PEER, policy.inbound("/mcp"), "ping")


def test_no_inbound_section_and_an_empty_one_let_nobody_in(compiled: Compile, agent_policy: Make) -> None:
    absent = ping(compiled(agent_policy("{}")))
    assert absent == Decision(False, Reason.NO_INBOUND_RULE, "AgentPolicy/triage inbound")
    empty = ping(compiled(agent_policy("{inbound: []}")))
    assert empty == Decision(False, Reason.PEER_NOT_ALLOWED, "AgentPolicy/triage inbound")


@pytest.mark.parametrize(
    ("rule", "kind", "allowed"),
    [
        ("", "sampling", True),
        ("", "roots/list", True),
        (", serverRequests: [elicitation]", "elicitation", True),
        (", serverRequests: [elicitation]", "elicitation/create", True),
        (", serverRequests: [elicitation]", "sampling", False),
        (", serverRequests: []", "roots", False),
        (", serverRequests: []", "ping", True),
        (", serverRequests: []", "tasks/get", True),
        ("", "x/y", False),
        (", unknownMethods: allow", "x/y", True),
    ],
)
def test_what_a_server_may_ask_is_limited_by_the_rule(
    compiled: Compile, backend: Make, agent_policy: Make, rule: str, kind: str, allowed: bool
) -> None:
    policy = compiled(backend(), agent_policy(f"{{outbound: [{{backend: github{rule}}}]}}"))
    for _ in range(2):
        decision = policy.server_request(ME, policy.backends[0], kind)
        assert decision.allowed is allowed
        assert allowed or decision.reason is Reason.SERVER_REQUEST_REFUSED


def test_the_narrowest_server_requests_of_several_rules_count(
    compiled: Compile, backend: Make, agent_policy: Make
) -> None:
    spec = "{outbound: [{backend: github}, {backend: '*', serverRequests: [roots]}]}"
    policy = compiled(backend(), agent_policy(spec))
    target = policy.backends[0]
    assert policy.server_request(ME, target, "roots").allowed
    refused = policy.server_request(ME, target, "sampling")
    assert refused.rule == "AgentPolicy/triage outbound[1] serverRequests"


def test_this_workload_may_ask_the_peers_it_lets_in(server: Policy) -> None:
    assert server.server_request(PEER, server.inbound("/mcp"), "sampling").allowed
    monitor = Principal("spiffe://cluster.local/ns/x/sa/monitor")
    assert (
        server.server_request(monitor, server.inbound("/mcp"), "sampling").reason
        is Reason.PROTOCOL_NOT_ALLOWED
    )


def test_egress_is_open_only_where_every_policy_opens_it(compiled: Compile, agent_policy: Make) -> None:
    opened, closed = agent_policy("{egress: allow}", "open"), agent_policy("{}", "closed")
    assert compiled(opened).egress("x", 80) == Decision(
        True, Reason.ALLOWED_EGRESS_DEFAULT, "AgentPolicy/open egress"
    )
    assert compiled(closed, opened).egress("x", 80, "/") == Decision(
        False, Reason.EGRESS_DENIED, "AgentPolicy/closed egress"
    )


def test_a_declared_host_is_never_open_by_default(
    compiled: Compile, backend: Make, agent_policy: Make
) -> None:
    policy = compiled(backend(), agent_policy("{egress: allow}"))
    assert policy.egress("github.tools.svc", 8080, "/other").reason is Reason.PATH_NOT_DECLARED
    assert policy.egress("github.tools.svc", 8080).reason is Reason.CONNECT_REFUSED
    assert policy.egress("github.tools.svc", 8081).allowed
    assert policy.route("github.tools.svc", 8080, "/mcp").backend is policy.backends[0]
    assert policy.backends_at("github.tools.svc", 8080) == policy.backends


OBSERVE = """
  mode: observe
  outbound: [{backend: github, tools: {allow: [a], deny: [b]}, serverRequests: []}]
"""


def test_observe_records_and_never_blocks(compiled: Compile, backend: Make, agent_policy: Make) -> None:
    policy = compiled(backend(), agent_policy(OBSERVE))
    assert ask(policy, "tools/call", "a") == Decision(
        True, Reason.ALLOWED, "AgentPolicy/triage outbound[0] tools.allow[0]"
    )
    for decision, reason in [
        (ask(policy, "tools/call", "b"), Reason.TOOL_DENIED),
        (ask(policy, "tools/call", "c"), Reason.TOOL_NOT_GRANTED),
        (ask(policy, "tools/call", "c c"), Reason.NAME_OUTSIDE_CHARSET),
        (ask(policy, "x/y"), Reason.UNKNOWN_METHOD),
        (policy.server_request(ME, policy.backends[0], "roots"), Reason.SERVER_REQUEST_REFUSED),
        (policy.egress("x", 80), Reason.EGRESS_DENIED),
        (policy.egress("github.tools.svc", 8080, "/x"), Reason.PATH_NOT_DECLARED),
        (policy.decide(PEER, policy.inbound("/mcp"), "ping"), Reason.NO_INBOUND_RULE),
    ]:
        assert (decision.allowed, decision.observed, decision.reason) == (True, True, reason)


def test_an_enforcing_policy_elsewhere_does_not_change_what_is_observed_here(
    compiled: Compile, backend: Make, agent_policy: Make
) -> None:
    other = "{protocol: MCP, host: other.svc, port: 80, tls: {mode: None}}"
    policy = compiled(
        backend(),
        backend("other", other),
        agent_policy(OBSERVE),
        agent_policy("{outbound: [{backend: other}]}", "strict"),
    )
    github, elsewhere = policy.backends
    assert policy.decide(ME, github, "tools/call", "c").observed
    assert not policy.decide(ME, elsewhere, "tools/call", "c").allowed
    # Nobody speaks of inbound, and of egress both do: there the enforcing policy blocks.
    assert not policy.decide(PEER, policy.inbound("/mcp"), "ping").allowed
    assert not policy.egress("x", 80).allowed


@pytest.mark.parametrize(
    ("rules", "kind", "total"),
    [
        ("{backend: github, tools: {allow: ['*']}}", "tool", True),
        ("{backend: github, tools: {allow: [a, '*']}}", "tool", True),
        ("{backend: github, tools: {allow: [a]}}, {backend: '*', tools: {allow: ['*']}}", "tool", True),
        ("{backend: github, tools: {allow: ['*'], deny: [x]}}", "tool", False),
        (
            "{backend: github, tools: {allow: ['*']}}, {backend: '*', tools: {allow: [], deny: [x]}}",
            "tool",
            False,
        ),
        ("{backend: github, tools: {allow: ['a*']}}", "tool", False),
        ("{backend: github, tools: {allow: ['*']}}", "prompt", False),
        ("{backend: github, prompts: {allow: ['*']}}", "prompt", True),
        ("{backend: github, resources: {allow: ['*']}}", "resource", True),
        ("{backend: github, resources: {allow: ['*']}}", "template", True),
        ("{backend: '*'}", "tool", False),
    ],
)
def test_total_is_true_only_where_nothing_could_be_hidden(
    compiled: Compile, backend: Make, agent_policy: Make, rules: str, kind: str, total: bool
) -> None:
    policy = compiled(backend(), agent_policy(f"{{outbound: [{rules}]}}"))
    assert policy.total(ME, policy.backends[0], kind) is total


def test_total_inbound_depends_on_the_peer(server: Policy, compiled: Compile, agent_policy: Make) -> None:
    assert not server.total(PEER, server.inbound("/mcp"), "tool")
    open_server = compiled(
        agent_policy(f"{{inbound: [{{from: ['{PEER.id}'], mcp: {{tools: {{allow: ['*']}}}}}}]}}")
    )
    assert open_server.total(PEER, open_server.inbound("/mcp"), "tool")
    assert not open_server.total(ME, open_server.inbound("/mcp"), "tool")


def test_answers_are_remembered_within_bounds(policy: Policy) -> None:
    assert ask(policy, "tools/call", "list_a") is ask(policy, "tools/call", "list_a")
    for number in range(MAX_CACHED * 2 + 10):
        assert ask(policy, "tools/call", f"list_{number}").allowed
        assert len(policy._cache) <= MAX_CACHED
    long_name = "x" * (MAX_CACHED_NAME + 1)
    assert ask(policy, "tools/call", long_name) == ask(policy, "tools/call", long_name)
    assert all(len(str(part)) <= 300 for key in policy._cache for part in key if isinstance(part, str))


def test_a_backend_of_older_documents_meets_the_rules_of_today(
    compiled: Compile, backend: Make, agent_policy: Make, policy: Policy
) -> None:
    today = compiled(backend(), agent_policy("{outbound: [{backend: github, tools: {allow: [new]}}]}"))
    yesterday = policy.backends[0]
    assert today.decide(ME, yesterday, "tools/call", "new").allowed
    assert not today.decide(ME, yesterday, "tools/call", "search_issues").allowed
    assert compiled(agent_policy("{}")).decide(ME, yesterday, "ping").reason is Reason.BACKEND_NOT_GRANTED
