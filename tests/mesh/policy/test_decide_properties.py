"""Invariants of decisions over arbitrary small policies: modes, several rules, ill-formed names."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mesh.policy import (
    INBOUND,
    AgentPolicy,
    Backend,
    BackendProtocol,
    BackendTls,
    Decision,
    Documents,
    Policy,
    Principal,
    TlsMode,
    compile_policy,
)
from mesh.policy.decision import Target
from mesh.policy.documents import Egress, InboundRule, McpGrant, Mode, Names, OutboundRule, ServerRequest
from mesh.policy.entries import well_formed_name
from mesh.policy.hosts import covers
from mesh.reasons import Reason

ME = Principal("spiffe://td/ns/a/sa/me")
BACKEND = Backend("x", None, BackendProtocol.MCP, "x.svc", 80, "/", BackendTls(TlsMode.NONE))
NAME_LIST = ["a", "ab", "b", "a b", "ab\u200b", "c"]
PATHS = ["/mcp", "/mcp/x", "/a", "/"]
TARGETS = [BACKEND, *PATHS, "*"]
"""The Backend, and paths at which peers ask; no rule covers `*`."""

entries = st.lists(st.sampled_from(["a", "ab", "b", "a b", "a*", "*b", "*", "?", "a*b"]), max_size=3).map(
    tuple
)
sections = st.none() | st.builds(Names, entries, entries)
grants = st.builds(McpGrant, tools=sections, unknown_methods=st.booleans())
asked = st.none() | st.frozensets(st.sampled_from(list(ServerRequest)))
users = st.sampled_from([(), (), ("https://i#a",), ("*#*",), ("https://i#b", "https://j#*")])
scopes = st.sampled_from([frozenset(), frozenset(), frozenset("r"), frozenset("rw")])
outbound = st.lists(
    st.builds(OutboundRule, st.sampled_from(["x", "y", "*"]), grants, asked, users, scopes), max_size=3
)
sources = st.sampled_from([("*",), (ME.id,), ("spiffe://td/ns/b/*",)])
inbound = st.none() | st.lists(
    st.builds(InboundRule, sources, st.none() | grants, st.booleans(), st.sampled_from(PATHS), users, scopes),
    max_size=2,
).map(tuple)
modes = st.sampled_from(list(Mode))
agent_policies = st.builds(
    AgentPolicy,
    name=st.just(""),
    namespace=st.none(),
    mode=modes,
    egress=st.sampled_from(list(Egress)),
    outbound=outbound.map(tuple),
    inbound=inbound,
)
policy_lists = st.lists(agent_policies, min_size=1, max_size=3).map(
    lambda found: [replace(policy, name=f"p{index}") for index, policy in enumerate(found)]
)
targets = st.sampled_from(TARGETS)
names = st.sampled_from(NAME_LIST)


def build(policies: list[AgentPolicy]) -> Policy:
    return compile_policy(Documents((BACKEND,), tuple(policies)), labels={}, namespace=None)


def made(policy: Policy, target: Backend | str) -> Target:
    """What the policy itself is asked about."""
    return policy.inbound(target) if isinstance(target, str) else target


def call(policy: Policy, target: Backend | str, name: str) -> Decision:
    return policy.decide(ME, made(policy, target), "tools/call", name)


def everything(policy: Policy) -> list[Decision]:
    """The decisions on every question these tests know."""
    questions = [("tools/call", name) for name in NAME_LIST] + [
        ("ping", None),
        ("x/y", None),
        ("prompts/get", "a"),
    ]
    asked = [
        policy.decide(ME, made(policy, target), method, name)
        for target in TARGETS
        for method, name in questions
    ]
    servers = [
        policy.server_request(ME, made(policy, target), kind) for target in TARGETS for kind in ServerRequest
    ]
    return [*asked, *servers, policy.egress("z", 1), policy.egress("x.svc", 80)]


def with_tools(
    policies: list[AgentPolicy], index: int, *, allow: str = "", deny: str = ""
) -> list[AgentPolicy]:
    """The same policies with one more entry in every rule of one of them."""
    policy = policies[index % len(policies)]

    def more(grant: McpGrant) -> McpGrant:
        tools = grant.tools or Names(())
        return replace(
            grant,
            tools=Names(tools.allow + ((allow,) if allow else ()), tools.deny + ((deny,) if deny else ())),
        )

    rules = [replace(rule, mcp=more(rule.mcp)) for rule in policy.outbound]
    inside = policy.inbound
    if inside is not None:
        inside = tuple(rule if rule.mcp is None else replace(rule, mcp=more(rule.mcp)) for rule in inside)
    changed = replace(policy, outbound=tuple(rules), inbound=inside)
    return [changed if other is policy else other for other in policies]


@given(policy_lists, st.integers(0, 2), st.sampled_from([BACKEND, *PATHS]), names)
def test_an_enforced_deny_always_wins(
    policies: list[AgentPolicy], index: int, target: Backend | str, name: str
) -> None:
    index %= len(policies)
    deny = McpGrant(tools=Names(("*", name), (name,)))
    policies[index] = replace(
        policies[index],
        mode=Mode.ENFORCE,
        outbound=(*policies[index].outbound, OutboundRule("x", deny)),
        inbound=(*(policies[index].inbound or ()), InboundRule(("*",), deny, mcp_path="/")),
    )
    decision = call(build(policies), target, name)
    assert (decision.allowed, decision.reason) == (False, Reason.TOOL_DENIED)


@given(policy_lists, st.integers(0, 2), st.sampled_from(["a", "a b", "a*", "*"]), targets, names)
def test_one_more_allow_entry_never_hides(
    policies: list[AgentPolicy], index: int, entry: str, target: Backend | str, name: str
) -> None:
    if call(build(policies), target, name).allowed:
        assert call(build(with_tools(policies, index, allow=entry)), target, name).allowed


@given(policy_lists, st.integers(0, 2), st.sampled_from(["a", "a b", "a*", "*"]), targets, names)
def test_one_more_deny_entry_never_shows(
    policies: list[AgentPolicy], index: int, entry: str, target: Backend | str, name: str
) -> None:
    if call(build(with_tools(policies, index, deny=entry)), target, name).allowed:
        assert call(build(policies), target, name).allowed


@given(policy_lists, targets, names)
def test_where_a_kind_is_total_every_well_formed_name_is_allowed(
    policies: list[AgentPolicy], target: Backend | str, name: str
) -> None:
    policy = build(policies)
    if policy.total(ME, made(policy, target), "tool") and well_formed_name(name):
        decision = call(policy, target, name)
        assert decision.allowed
        assert not decision.observed


@given(policy_lists)
def test_policies_in_observe_never_block(policies: list[AgentPolicy]) -> None:
    policy = build([replace(policy, mode=Mode.OBSERVE) for policy in policies])
    assert all(decision.allowed for decision in everything(policy))


@given(policy_lists)
def test_enforcing_policies_block_what_observing_ones_only_record(policies: list[AgentPolicy]) -> None:
    enforced = everything(build([replace(policy, mode=Mode.ENFORCE) for policy in policies]))
    observed = everything(build([replace(policy, mode=Mode.OBSERVE) for policy in policies]))
    for strict, lenient in zip(enforced, observed, strict=True):
        assert not strict.observed
        assert strict.allowed is not lenient.observed


@given(policy_lists)
def test_an_observed_decision_passes_and_tells_the_refusal(policies: list[AgentPolicy]) -> None:
    granted = {"allowed", "allowed_base_protocol", "allowed_egress_default"}
    for decision in everything(build(policies)):
        assert (decision.reason in granted) is (decision.allowed and not decision.observed)
        assert decision.rule


@given(policy_lists)
def test_answers_do_not_depend_on_what_was_asked_before(policies: list[AgentPolicy]) -> None:
    asked = build(policies)
    assert everything(asked) == everything(asked) == everything(build(policies))
    fresh = [call(build(policies), target, name) for target in TARGETS for name in NAME_LIST]
    assert fresh == [call(asked, target, name) for target in TARGETS for name in NAME_LIST]


@given(policy_lists)
def test_the_order_of_documents_does_not_matter(policies: list[AgentPolicy]) -> None:
    assert everything(build(policies)) == everything(build(policies[::-1]))


@given(policy_lists, st.sampled_from(["/mcp", "/mcp/x/y", "/a", "/b", "/", "*"]), names)
def test_mcp_is_granted_only_where_a_rule_with_a_path_above_grants_it(
    policies: list[AgentPolicy], path: str, name: str
) -> None:
    policies = [replace(policy, mode=Mode.ENFORCE) for policy in policies]
    rules = [rule for policy in policies for rule in policy.inbound or ()]
    covering = [rule for rule in rules if rule.mcp is not None and covers(rule.mcp_path, path)]
    for method, subject in (("tools/call", name), ("ping", None)):
        policy = build(policies)
        decision = policy.decide(ME, policy.inbound(path), method, subject)
        assert not decision.allowed or covering


@given(policy_lists, st.text("/abmcp.", max_size=12))
def test_targets_are_as_few_as_declared_paths(policies: list[AgentPolicy], path: str) -> None:
    policy = build(policies)
    found = policy.inbound(path)
    assert found is INBOUND or found in policy.entrances.declared
    assert len(policy.entrances.declared) <= len(PATHS)
