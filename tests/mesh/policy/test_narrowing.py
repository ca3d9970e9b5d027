from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import (
    UNAUTHENTICATED,
    Decision,
    Documents,
    HttpRequest,
    Narrowing,
    Policy,
    Principal,
    compile_policy,
)
from mesh.policy.boundary import Reach
from mesh.policy.narrowing import ToolNarrowing
from mesh.policy.tool_entries import tool_fault
from mesh.reasons import Reason

ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")
Load = Callable[..., Documents]
Make = Callable[..., str]

READS = "{outbound: [{backend: github, tools: {allow: ['get_*', 'odd name', 'list_*'], deny: [list_keys]}}]}"
WRITES = """{mode: observe, egress: allow,
  outbound: [{backend: github, tools: {allow: [create_issue], deny: [get_secret]}, serverRequests: []}],
  inbound: [{from: ['*'], mcp: {tools: {allow: ['*']}}, http: {allow: true}}]}"""
OTHERS = "{selector: {matchLabels: {app: other}}, outbound: [{backend: github, tools: {allow: ['*']}}]}"


@pytest.fixture
def documents(load: Load, backend: Make, agent_policy: Make) -> Documents:
    return load(
        backend(),
        agent_policy(READS, "reads"),
        agent_policy(WRITES, "writes"),
        agent_policy(OTHERS, "others"),
    )


def compiled(documents: Documents, **narrowing: object) -> Policy:
    if "policies" in narrowing:
        narrowing["policies"] = frozenset(narrowing["policies"])  # type: ignore[call-overload]
    return compile_policy(documents, labels={}, namespace=None, narrowing=Narrowing(**narrowing))  # type: ignore[arg-type]


def call(policy: Policy, tool: str | None) -> Decision:
    return policy.decide(ME, policy.backends[0], "tools/call", tool)


def test_a_policy_that_is_left_out_grants_nothing_and_the_annotation_is_named(documents: Documents) -> None:
    policy = compiled(documents, policies=["reads"])
    assert call(policy, "get_issue").allowed
    refused = call(policy, "create_issue")
    assert (refused.allowed, refused.reason) == (False, Reason.NARROWED_BY_POD)
    assert refused.rule == (
        "annotation outrider.dev/policy leaves out AgentPolicy/writes outbound[0] tools.allow[0]"
    )


def test_a_policy_that_is_left_out_denies_as_before(load: Load, backend: Make, agent_policy: Make) -> None:
    deny = "{outbound: [{backend: github, tools: {allow: [], deny: ['*secret*']}, serverRequests: []}]}"
    documents = load(backend(), agent_policy(READS, "reads"), agent_policy(deny, "deny"))
    policy = compiled(documents, policies=["reads"])
    assert call(policy, "get_issue").allowed
    assert call(policy, "get_secret").reason is Reason.TOOL_DENIED
    assert not policy.server_request(ME, policy.backends[0], "roots").allowed


def test_what_an_observing_policy_denies_is_recorded_although_it_is_left_out(documents: Documents) -> None:
    found = call(compiled(documents, policies=["reads"]), "get_secret")
    assert (found.allowed, found.observed, found.reason) == (True, True, Reason.TOOL_DENIED)


def test_a_policy_that_enforces_goes_on_enforcing_when_it_is_left_out(documents: Documents) -> None:
    policy = compiled(documents, policies=["writes"])
    assert call(policy, "create_issue").allowed
    assert call(policy, "get_issue").reason is Reason.NARROWED_BY_POD
    # Nobody allows it, and `reads` enforces: as without the annotation.
    assert call(policy, "delete_issue") == call(compiled(documents), "delete_issue")
    assert call(policy, "delete_issue").reason is Reason.TOOL_NOT_GRANTED


def test_a_left_out_policy_in_observe_lets_nothing_pass_by_observing(
    load: Load, backend: Make, agent_policy: Make
) -> None:
    lenient = "{mode: observe, outbound: [{backend: github, tools: {allow: [a]}}]}"
    documents = load(backend(), agent_policy("{}", "strict"), agent_policy(lenient, "lenient"))
    assert call(compiled(documents), "b").observed
    for tool in ("a", "b"):
        assert call(compiled(documents, policies=["strict"]), tool).reason is Reason.NARROWED_BY_POD
    assert call(compiled(documents, policies=["lenient"]), "b").observed


@pytest.mark.parametrize("names", [["typo"], ["others"], ["others", "typo"], []])
def test_names_that_select_nothing_close_everything(documents: Documents, names: list[str]) -> None:
    policy = compiled(documents, policies=names)
    target = policy.backends[0]
    listed = ", ".join(sorted(names)) or "none"
    rule = f"annotation outrider.dev/policy ({listed}) names no AgentPolicy that selects this agent"
    closed = Decision(False, Reason.NARROWED_BY_POD, rule)
    assert call(policy, "get_issue") == policy.decide(ME, target, "ping") == closed
    assert policy.decide(ME, target, "http", http=HttpRequest("GET", "/mcp")) == closed
    assert policy.decide(ME, policy.inbound("/mcp"), "tools/call", "x") == policy.meet(ME) == closed
    assert not policy.total(ME, target, "tool")


def test_a_name_that_selects_nothing_adds_nothing_to_one_that_does(documents: Documents) -> None:
    policy = compiled(documents, policies=["reads", "typo", "others"])
    assert call(policy, "get_issue").allowed
    assert not call(policy, "merge").allowed
    assert policy.policies == ("AgentPolicy/reads", "AgentPolicy/writes")
    assert policy.narrowing.told() == {"policies": ["others", "reads", "typo"]}


def test_what_names_no_policy_and_no_backend_is_told(documents: Documents) -> None:
    policy = compiled(
        documents,
        policies=["reads", "others"],
        tools_allow=(("git*/*", "gihub/a"), ("*/*",)),
        tools_deny=("githu?/x", "jira/*"),
    )
    assert policy.idle == {"policies": ["others"], "toolsAllow": ["gihub/a"], "toolsDeny": ["jira/*"]}
    assert compiled(documents, policies=["reads"], tools_deny=("github/x",)).idle is None


def test_egress_is_closed_by_a_left_out_policy_and_opened_by_none(
    load: Load, backend: Make, agent_policy: Make
) -> None:
    opens, closes = "{egress: allow}", "{egress: deny}"
    both = load(backend(), agent_policy(opens, "opens"), agent_policy(closes, "closes"))
    assert compiled(both, policies=["opens"]).egress("example.com", 443).reason is Reason.EGRESS_DENIED
    alone = load(backend(), agent_policy(opens, "opens"))
    assert compiled(alone, policies=["opens"]).egress("example.com", 443).allowed
    assert compiled(alone, policies=["closes"]).egress("example.com", 443).reason is Reason.NARROWED_BY_POD


def test_callers_that_only_a_left_out_policy_lets_in_stay_out(documents: Documents) -> None:
    policy = compiled(documents, policies=["reads"])
    assert policy.meet(ME).reason is Reason.NARROWED_BY_POD
    assert not policy.decide(ME, policy.inbound("/mcp"), "tools/call", "x").allowed
    assert compiled(documents, policies=["writes"]).meet(ME).allowed
    assert policy.meet(UNAUTHENTICATED).reason is not Reason.ALLOWED


@pytest.mark.parametrize(
    ("allow", "deny", "left"),
    [
        ([], [], "get_issue create_issue odd name list_all"),
        ([["github/get_*"]], [], "get_issue"),
        ([["*/*"]], [], "get_issue create_issue list_all"),
        ([["*/odd name", "g?thub/list_*"]], [], "odd name list_all"),
        ([["jira/*"]], [], ""),
        ([["github/*_issue"], ["*/get_*", "*/list_*"]], [], "get_issue"),
        ([[]], [], ""),
        ([], ["github/*issue"], "odd name list_all"),
        ([], ["*/odd*"], "get_issue create_issue list_all"),
        ([], ["jira/*"], "get_issue create_issue odd name list_all"),
        ([["*/*"]], ["*hub/get_issue"], "create_issue list_all"),
        ([], ["*/*"], ""),
    ],
)
def test_a_tool_has_to_match_every_list_of_allow_and_nothing_of_deny(
    documents: Documents, allow: list[list[str]], deny: list[str], left: str
) -> None:
    policy = compiled(documents, tools_allow=tuple(map(tuple, allow)), tools_deny=tuple(deny))
    tools = ("get_issue", "create_issue", "odd name", "list_all", "list_keys", "merge")
    assert " ".join(tool for tool in tools if call(policy, tool).allowed) == left
    for tool in ("list_keys", "merge"):
        assert call(policy, tool) == call(compiled(documents), tool)


def test_refusals_of_tools_name_the_annotation(documents: Documents) -> None:
    policy = compiled(documents, tools_allow=(("*/*_issue",),), tools_deny=("github/create_*",))
    assert call(policy, "list_all") == Decision(
        False, Reason.NARROWED_BY_POD, "annotation outrider.dev/tools-allow"
    )
    rule = "annotation outrider.dev/tools-deny, entry for the tool 'create_*'"
    assert call(policy, "create_issue") == Decision(False, Reason.NARROWED_BY_POD, rule)


def test_tools_are_narrowed_in_every_mode_and_without_a_name_too(
    load: Load, backend: Make, agent_policy: Make
) -> None:
    documents = load(backend(), agent_policy("{mode: observe, outbound: [{backend: github}]}"))
    assert call(compiled(documents), "x").observed
    for tool in ("x", "x" * 600 + " ", "", None):
        assert call(compiled(documents, tools_deny=("*/*",)), tool).reason is Reason.NARROWED_BY_POD
        assert call(compiled(documents, tools_allow=(("a/*",),)), tool).reason is Reason.NARROWED_BY_POD


def test_only_tools_of_mcp_backends_are_narrowed(load: Load, backend: Make, agent_policy: Make) -> None:
    spec = """{egress: allow, outbound: [{backend: '*', tools: {allow: ['*']}, prompts: {allow: ['*']},
      resources: {allow: ['*']}, unknownMethods: allow}],
      inbound: [{from: ['*'], mcp: {tools: {allow: ['*']}}}]}"""
    web = "{protocol: HTTP, host: web.svc, port: 80, tls: {mode: None}}"
    documents = load(backend(), backend("web", web), agent_policy(spec))
    policy = compiled(documents, tools_deny=("*/*",), tools_allow=((),))
    github, plain = sorted(policy.backends, key=lambda one: one.name)
    questions = [("prompts/get", "x"), ("resources/read", "x://y"), ("tools/list", None), ("ping", None)]
    for method, name in [*questions, ("x/unknown", None)]:
        assert policy.decide(ME, github, method, name).allowed
    assert not policy.decide(ME, github, "tools/call", "x").allowed
    assert policy.decide(ME, plain, "tools/call", "x").allowed
    assert policy.decide(ME, policy.inbound("/mcp"), "tools/call", "x").allowed
    assert policy.egress("example.com", 443).allowed
    assert [policy.total(ME, github, kind) for kind in ("tool", "prompt")] == [False, True]
    assert policy.total(ME, policy.inbound("/mcp"), "tool")


def test_a_kind_is_total_where_annotations_take_nothing_away(
    load: Load, backend: Make, agent_policy: Make
) -> None:
    spec = "{outbound: [{backend: github, tools: {allow: ['*']}}]}"
    documents = load(backend(), agent_policy(spec, "a"), agent_policy(spec, "b"))

    def total(**narrowing: object) -> bool:
        policy = compiled(documents, **narrowing)
        return policy.total(ME, policy.backends[0], "tool")

    assert total(tools_allow=(("github/*",), ("*/*",)), tools_deny=("jira/*",), policies=["a"])
    assert not total(tools_deny=("github/x",))
    assert not total(tools_allow=(("github/*",), ("*/get_*",)))
    assert not total(policies=["c"])


def test_enforce_makes_observing_policies_block(load: Load, backend: Make, agent_policy: Make) -> None:
    spec = "{mode: observe, egress: allow, outbound: [{backend: github, tools: {allow: [a]}}]}"
    documents = load(backend(), agent_policy(spec))
    policy = compiled(documents, enforce=True)
    assert call(policy, "a").allowed
    assert call(policy, "b") == Decision(
        False, Reason.TOOL_NOT_GRANTED, "AgentPolicy/triage outbound[0] tools.allow"
    )
    assert compiled(documents).egress("10.0.0.1", 80).observed
    assert not policy.egress("10.0.0.1", 80).allowed
    assert policy.reach("example.com", 80) == Reach.PUBLIC


def test_a_backend_of_other_documents_is_narrowed_alike() -> None:
    tools = ToolNarrowing(Narrowing(tools_deny=("new/*",)), ["old"])
    assert tools.refusal("new", "x") is not None
    assert tools.refusal("old", "x") is None


@pytest.mark.parametrize(
    "entry",
    ["github/get_issue", "*/*", "g*b/x", "a.b-c/odd name", "github/a/b", "?/list_*", "github/é\u200b"],
)
def test_a_glob_is_a_backend_and_a_tool(entry: str) -> None:
    assert tool_fault(entry) is None


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("get_issue", "a Backend, a slash and a tool"),
        ("*", "a Backend, a slash and a tool"),
        ("/x", "a Backend, a slash and a tool"),
        ("github/", "not empty"),
        ("Git hub/x", "the name of a Backend"),
        ("git_hub/x", "the name of a Backend"),
        ("**/x", "** is not a pattern"),
        ("github/**", "** is not a pattern"),
        ("github/é*", "this pattern holds characters"),
        ("github/" + "a" * 513, "at most 512"),
        ("github/" + "*a" * 9, "stars"),
    ],
)
def test_what_is_no_glob_over_tools_is_told(entry: str, fault: str) -> None:
    assert fault in (tool_fault(entry) or "")
