"""Whatever annotations hold, and whatever the documents: nothing passes with them that would not pass without."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mesh.policy import (
    AgentPolicy,
    Backend,
    BackendProtocol,
    BackendTls,
    Decision,
    Documents,
    HttpRequest,
    Narrowing,
    Policy,
    Principal,
    TlsMode,
    compile_policy,
)
from mesh.policy.documents import Egress, InboundRule, McpGrant, Mode, Names, OutboundRule, ServerRequest
from mesh.policy.entries import well_formed_name
from mesh.policy.principal import User
from mesh.protocol.mcp.lists import filter_result

ME = Principal("spiffe://td/ns/a/sa/me", User("https://i", "a", frozenset("r")))
TLS = BackendTls(TlsMode.NONE)
BACKENDS = (
    Backend("hub", None, BackendProtocol.MCP, "hub.svc", 80, "/mcp", TLS),
    Backend("hub-two", None, BackendProtocol.MCP, "two.svc", 80, "/", TLS),
    Backend("web", None, BackendProtocol.HTTP, "web.svc", 80, "/", TLS),
)
TOOLS = ["a", "ab", "b", "a/b", "a b", "ab\u200b", "", "a" * 600, "c $" * 200]
PATHS = ["/mcp", "/mcp/x", "/", "*"]
KINDS = ["tool", "prompt", "resource", "template"]
POLICIES = ["p0", "p1", "p2"]

entries = st.lists(st.sampled_from(["a", "ab", "a b", "a*", "*b", "*", "?"]), max_size=2).map(tuple)
sections = st.none() | st.builds(Names, entries, entries)
grants = st.builds(
    McpGrant, tools=sections, prompts=sections, resources=sections, unknown_methods=st.booleans()
)
asked = st.none() | st.frozensets(st.sampled_from(list(ServerRequest)))
users = st.sampled_from([(), (), (), ("https://i#a",), ("https://i#b",)])
scopes = st.sampled_from([frozenset(), frozenset(), frozenset(), frozenset("r"), frozenset("rw")])
outbound = st.lists(
    st.builds(OutboundRule, st.sampled_from(["hub", "hub-two", "web", "*"]), grants, asked, users, scopes),
    max_size=3,
)
inbound = st.none() | st.lists(
    st.builds(
        InboundRule,
        st.sampled_from([("*",), ("spiffe://td/ns/b/*",)]),
        st.none() | grants,
        st.booleans(),
        st.sampled_from(["/mcp", "/"]),
        users,
        scopes,
    ),
    max_size=2,
).map(tuple)
agent_policies = st.builds(
    AgentPolicy,
    name=st.just(""),
    namespace=st.none(),
    match_labels=st.sampled_from([(), (("app", "x"),), (("app", "y"),)]),
    mode=st.sampled_from(list(Mode)),
    egress=st.sampled_from(list(Egress)),
    outbound=outbound.map(tuple),
    inbound=inbound,
)
documents = st.lists(agent_policies, max_size=3).map(
    lambda found: Documents(
        BACKENDS, tuple(replace(policy, name=name) for name, policy in zip(POLICIES, found, strict=False))
    )
)
labels = st.sampled_from([{}, {"app": "x"}, {"app": "y"}])
globs = st.lists(
    st.sampled_from(["hub/a*", "hub*/*", "*/*", "*/a b", "h?b/ab", "*-two/*b", "hub/a/b", "web/*", "hub/a"]),
    max_size=3,
).map(tuple)
narrowings = st.builds(
    Narrowing,
    policies=st.none() | st.frozensets(st.sampled_from([*POLICIES, "nobody"])),
    tools_allow=st.lists(globs, max_size=2).map(tuple),
    tools_deny=globs,
    enforce=st.booleans(),
)


def build(found: Documents, labels: dict[str, str], narrowing: Narrowing | None = None) -> Policy:
    return compile_policy(found, labels=labels, namespace=None, narrowing=narrowing)


def everything(policy: Policy) -> dict[tuple[object, ...], Decision]:
    """The decisions on every question these tests know, by question."""
    targets = [*BACKENDS, *PATHS]
    questions = [("tools/call", name) for name in TOOLS]
    questions += [("prompts/get", "a"), ("resources/read", "a"), ("ping", None), ("x/y", None)]
    questions += [("tools/call", None), ("tools/list", None)]
    found: dict[tuple[object, ...], Decision] = {}
    for where in targets:
        target = policy.inbound(where) if isinstance(where, str) else where
        for method, name in questions:
            found["decide", where, method, name] = policy.decide(ME, target, method, name)
        for verb in ("GET", "POST"):
            request = HttpRequest(verb, "/mcp")
            found["http", where, verb] = policy.decide(ME, target, "http", http=request)
        for kind in ServerRequest:
            found["server", where, kind] = policy.server_request(ME, target, kind)
    for host in ("hub.svc", "z.example", "10.0.0.1"):
        for path in (None, "/", "/other"):
            found["egress", host, path] = policy.egress(host, 80, path)
    found["meet",] = policy.meet(ME)
    return found


def passing(policy: Policy) -> set[tuple[object, ...]]:
    return {question for question, decision in everything(policy).items() if decision.allowed}


@given(documents, labels, narrowings)
def test_whatever_passes_with_annotations_passes_without(
    found: Documents, labels: dict[str, str], narrowing: Narrowing
) -> None:
    assert passing(build(found, labels, narrowing)) <= passing(build(found, labels))


@given(documents, labels, narrowings, narrowings)
def test_more_annotations_never_let_more_pass(
    found: Documents, labels: dict[str, str], one: Narrowing, other: Narrowing
) -> None:
    if one.policies is None or other.policies is None:
        policies = other.policies if one.policies is None else one.policies
    else:
        policies = one.policies & other.policies
    both = Narrowing(
        policies,
        one.tools_allow + other.tools_allow,
        one.tools_deny + other.tools_deny,
        one.enforce or other.enforce,
    )
    left = passing(build(found, labels, both))
    assert left <= passing(build(found, labels, one)) & passing(build(found, labels, other))


@given(documents, labels, narrowings, st.sampled_from(POLICIES))
def test_leaving_out_one_more_policy_never_lets_more_pass(
    found: Documents, labels: dict[str, str], narrowing: Narrowing, name: str
) -> None:
    named = frozenset(POLICIES) if narrowing.policies is None else narrowing.policies
    more = build(found, labels, replace(narrowing, policies=named | {name}))
    fewer = build(found, labels, replace(narrowing, policies=named - {name}))
    assert passing(fewer) <= passing(more)


@given(documents, labels)
def test_annotations_that_take_nothing_away_change_no_answer(
    found: Documents, labels: dict[str, str]
) -> None:
    nothing = Narrowing(frozenset(POLICIES), tools_deny=("nothing-of-this-name/*",))
    assert everything(build(found, labels, nothing)) == everything(build(found, labels))


@given(documents, labels, narrowings)
def test_refusals_of_policies_keep_their_reason_and_rule(
    found: Documents, labels: dict[str, str], narrowing: Narrowing
) -> None:
    narrowed = everything(build(found, labels, replace(narrowing, enforce=False)))
    for question, decision in everything(build(found, labels)).items():
        assert decision.allowed or narrowed[question] == decision


@given(documents, labels, narrowings, st.sampled_from(BACKENDS[:2]))
def test_a_list_holds_what_may_be_called_and_nothing_else(
    found: Documents, labels: dict[str, str], narrowing: Narrowing, target: Backend
) -> None:
    policy = build(found, labels, narrowing)
    named = [name for name in TOOLS if name]  # no client can call a tool without a name
    listed = {"tools": [{"name": name} for name in named]}
    filtered = filter_result(
        listed,
        lambda subject: policy.decide(ME, target, subject.method, subject.name).allowed,
        total=lambda kind: policy.total(ME, target, kind),
    )
    left = {tool["name"] for tool in filtered.result["tools"]}
    assert left == {name for name in named if policy.decide(ME, target, "tools/call", name).allowed}


@given(documents, labels, narrowings, st.sampled_from([*BACKENDS, "/mcp", "*"]))
def test_where_a_kind_is_total_nothing_well_formed_is_refused(
    found: Documents, labels: dict[str, str], narrowing: Narrowing, where: Backend | str
) -> None:
    policy = build(found, labels, narrowing)
    target = policy.inbound(where) if isinstance(where, str) else where
    methods = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read"}
    for kind, method in methods.items():
        if policy.total(ME, target, kind):
            decisions = [policy.decide(ME, target, method, name) for name in TOOLS if well_formed_name(name)]
            assert all(decision.allowed and not decision.observed for decision in decisions)


@given(documents, labels, narrowings)
def test_what_is_total_with_annotations_is_total_without(
    found: Documents, labels: dict[str, str], narrowing: Narrowing
) -> None:
    narrowed, plain = build(found, labels, narrowing), build(found, labels)
    for where in (*BACKENDS, "/mcp", "*"):
        for kind in KINDS:
            total = narrowed.total(ME, narrowed.inbound(where) if isinstance(where, str) else where, kind)
            assert not total or plain.total(
                ME, plain.inbound(where) if isinstance(where, str) else where, kind
            )


@given(documents, labels, narrowings)
def test_enforce_leaves_nothing_to_be_observed(
    found: Documents, labels: dict[str, str], narrowing: Narrowing
) -> None:
    policy = build(found, labels, replace(narrowing, enforce=True))
    assert not any(decision.observed for decision in everything(policy).values())
